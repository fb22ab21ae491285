"""A residual discriminator with leaky ReLUs, as in StyleGAN2."""

import math

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]
SLOPE = 0.2


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of two ReLUs."""
    below = functional.relu(-x)
    above = functional.relu(x)
    return above - SLOPE * below


class Block(nn.Module):
    """Two convolutions beside a projected skip, half the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(in_channels, out_channels, 1, stride=2)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, H / 2, W / 2)."""
        out = leaky(self.conv2(leaky(self.conv1(x))))
        total: Tensor = (out + self.skip(x)) / math.sqrt(2)
        return total


class Net(nn.Module):
    """Two blocks and a score."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = Block(3, 8)
        self.block2 = Block(8, 12)
        self.score = nn.Linear(12 * 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """One number an image."""
        score: Tensor = self.score(self.block2(self.block1(x)).flatten(1))
        return score


def build() -> nn.Module:
    """The network."""
    return Net()
