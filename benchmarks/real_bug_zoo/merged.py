"""Convolutions of several widths over a text, merged, as in a CNN for sentences."""

import torch
from torch import Tensor, nn

INPUT = ["B,12:int64<30"]


class Merge(nn.Module):
    """Layers side by side, their results behind each other."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, 3 * D)."""
        return torch.cat([layer(x).amax(dim=2) for layer in self.layers], dim=1)


class Net(nn.Module):
    """Embedding, convolutions, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.convs = Merge([nn.Conv1d(8, 6, kernel_size) for kernel_size in (3, 4, 5)])
        self.head = nn.Linear(18, 2)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(torch.relu(self.convs(self.embed(ids).transpose(1, 2))))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
