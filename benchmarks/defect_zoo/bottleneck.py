"""A residual network of bottlenecks, as ResNeXt with grouped convolutions and without."""

from torch import Tensor, nn

INPUT = ["B,4,8,8"]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside the input."""

    def __init__(self, channels: int, width: int, out_channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity() if channels == out_channels else self.project(channels, out_channels, stride)

    def project(self, channels: int, out_channels: int, stride: int) -> nn.Module:
        """The shortcut where the shape changes: a 1x1 convolution with norm."""
        conv = nn.Conv2d(channels, out_channels, kernel_size=1, stride=stride, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add, then activate."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y = y + self.shortcut(x)
        activated: Tensor = self.relu(y)
        return activated


class ResNeXt(nn.Module):
    """Three bottlenecks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = Bottleneck(4, 8, 16, stride=1, groups=1)
        self.block2 = Bottleneck(16, 8, 16, stride=1, groups=4)
        self.block3 = Bottleneck(16, 12, 24, stride=2, groups=4)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        for block in (self.block1, self.block2, self.block3):
            x = block(x)
        logits: Tensor = self.head(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return ResNeXt()
