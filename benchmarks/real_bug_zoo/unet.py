"""A U-Net of two levels that pads what it concatenates to one size."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,1,16,16"]


def merge(skip: Tensor, deeper: Tensor) -> Tensor:
    """Both behind each other, the first padded to the size of the second."""
    missing = (deeper.shape[2] - skip.shape[2]) // 2
    return torch.cat([functional.pad(skip, [missing] * 4), deeper], dim=1)


class Double(nn.Module):
    """Two convolutions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same height and width."""
        return functional.relu(self.conv2(functional.relu(self.conv1(x))))


class Net(nn.Module):
    """Down twice, up twice."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = Double(1, 6)
        self.down2 = Double(6, 8)
        self.bottom = Double(8, 12)
        self.up2 = nn.ConvTranspose2d(12, 8, 2, stride=2)
        self.conv2 = Double(16, 8)
        self.up1 = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.conv1 = Double(12, 6)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each pixel."""
        skip1 = self.down1(x)
        pooled1 = functional.max_pool2d(skip1, 2)
        skip2 = self.down2(pooled1)
        pooled2 = functional.max_pool2d(skip2, 2)
        x = self.bottom(pooled2)
        x = self.conv2(merge(skip2, self.up2(x)))
        x = self.conv1(merge(skip1, self.up1(x)))
        logits: Tensor = self.head(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
