"""Residual blocks with scaled residuals and a pixel shuffle, as in EDSR and WDSR."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]
SCALING = 0.1


class Block(nn.Module):
    """A wide convolution and a narrow one beside a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 3 * channels, 3, padding=1)
        self.reduce = nn.Conv2d(3 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        residual = self.reduce(functional.relu(self.expand(x)))
        out: Tensor = x + SCALING * residual
        return out


class Net(nn.Module):
    """Two blocks, and an image of twice the size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.last = nn.Conv2d(8, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, 2H, 2W)."""
        x = self.first(x)
        image: Tensor = self.shuffle(self.last(self.blocks(x) + x))
        return image


def build() -> nn.Module:
    """The network."""
    return Net()
