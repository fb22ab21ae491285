"""A U-Net in miniature with bilinear upsampling and a skip at each level."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


class DoubleConv(nn.Module):
    """Two 3x3 convolutions with group norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm1 = nn.GroupNorm(2, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(2, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width."""
        x = functional.leaky_relu(self.norm1(self.conv1(x)), 0.01)
        return functional.leaky_relu(self.norm2(self.conv2(x)), 0.01)


class UNet(nn.Module):
    """Two levels down, two up."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1 = DoubleConv(3, 8)
        self.enc2 = DoubleConv(8, 8)
        self.bottom = DoubleConv(8, 8)
        self.dec2 = DoubleConv(16, 8)
        self.dec1 = DoubleConv(16, 8)
        self.out = nn.Conv2d(8, 2, kernel_size=1)

    def up(self, x: Tensor) -> Tensor:
        """Twice the height and width."""
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        """A probability for each class and pixel."""
        skip1 = self.enc1(x)
        skip2 = self.enc2(functional.max_pool2d(skip1, 2))
        x = self.bottom(functional.max_pool2d(skip2, 2))
        x = self.dec2(torch.cat([skip2, self.up(x)], dim=1))
        x = self.dec1(torch.cat([skip1, self.up(x)], dim=1))
        return functional.softmax(self.out(x), dim=1)


def build() -> nn.Module:
    """The network."""
    return UNet()
