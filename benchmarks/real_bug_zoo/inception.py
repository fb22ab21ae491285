"""An Inception block with batch norms, as in BN-Inception."""

import torch
from torch import Tensor, nn

INPUT = ["B,3,16,16"]


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm2d(out_channels, momentum=0.1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The same height and width."""
        normed: Tensor = self.bn(self.conv(x))
        activated: Tensor = self.relu(normed)
        return activated


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1 = Unit(in_channels, 4, 1)
        self.branch2 = nn.Sequential(Unit(in_channels, 4, 1), Unit(4, 6, 3))
        self.branch3 = nn.Sequential(Unit(in_channels, 2, 1), Unit(2, 4, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Unit(in_channels, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 18, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class Net(nn.Module):
    """Stem, one block, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, 8, 3)
        self.inception = Inception(8)
        self.head = nn.Linear(18, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.inception(self.stem(x)).mean((2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
