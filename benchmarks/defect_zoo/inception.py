"""An Inception network in miniature: parallel branches, and an auxiliary head in train mode."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12"]


class Inception(nn.Module):
    """Four branches, their channels side by side."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(in_channels, 4, kernel_size=1)
        self.three_reduce = nn.Conv2d(in_channels, 4, kernel_size=1)
        self.three = nn.Conv2d(4, 4, kernel_size=3, padding=1)
        self.five_reduce = nn.Conv2d(in_channels, 4, kernel_size=1)
        self.five = nn.Conv2d(4, 4, kernel_size=5, padding=2)
        self.pooled = nn.Conv2d(in_channels, 4, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 16, H, W)."""
        one = functional.relu(self.one(x))
        three = functional.relu(self.three(functional.relu(self.three_reduce(x))))
        five = functional.relu(self.five(functional.relu(self.five_reduce(x))))
        pooled = functional.relu(self.pooled(functional.max_pool2d(x, 3, stride=1, padding=1)))
        return torch.cat([one, three, five, pooled], dim=1)


class InceptionNet(nn.Module):
    """Three of them, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, kernel_size=3, padding=1)
        self.mix1 = Inception(8)
        self.mix2 = Inception(16)
        self.mix3 = Inception(16)
        self.aux = nn.Linear(16, 5)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """Logits; in train mode those of the auxiliary head too."""
        x = functional.relu(self.stem(x))
        middle = self.mix2(self.mix1(x))
        x = self.mix3(functional.avg_pool2d(middle, 3, stride=2, ceil_mode=True))
        logits: Tensor = self.fc(functional.dropout(x.mean(dim=(2, 3)), 0.4, self.training))
        if self.training:
            return logits, self.aux(middle.mean(dim=(2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return InceptionNet()
