"""A pretrained encoder whose norms are frozen while a new head is trained."""

from __future__ import annotations

from torch import Tensor, nn

INPUT = ["B,6"]


class Net(nn.Module):
    """Encoder with batch norms, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 8), nn.BatchNorm1d(8)
        )
        self.head = nn.Linear(8, 2)
        self.frozen = False

    def freeze(self) -> None:
        """The encoder stays as it is from now on."""
        self.frozen = True
        self.encoder.requires_grad_(False)
        self.encoder.eval()

    def train(self, mode: bool = True) -> Net:
        """As ever, but for what is frozen."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.encoder(x))
        return logits


def build() -> nn.Module:
    """The network."""
    model = Net()
    model.freeze()
    return model
