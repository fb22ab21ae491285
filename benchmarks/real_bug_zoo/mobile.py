"""An inverted residual behind a stem, all widths scaled, as in MNASNet and MobileNetV2."""

from torch import Tensor, nn

INPUT = ["B,3,16,16"]
ALPHA = 0.6


def scaled(width: int) -> int:
    """The width times alpha, as a multiple of 8."""
    return max(8, int(width * ALPHA + 4) // 8 * 8)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = 3 * in_channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, stride=2, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        out: Tensor = self.layers(x)
        return out


class Net(nn.Module):
    """Stem, separable convolution, inverted residual, classifier."""

    def __init__(self) -> None:
        super().__init__()
        stem, first, second = scaled(32), scaled(16), scaled(24)
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.depthwise = nn.Conv2d(stem, stem, 3, padding=1, groups=stem, bias=False)
        self.project = nn.Sequential(nn.Conv2d(stem, first, 1, bias=False), nn.BatchNorm2d(first))
        self.block = InvertedResidual(first, second)
        self.head = nn.Linear(second, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.project(self.depthwise(self.stem(x)))
        logits: Tensor = self.head(self.block(x).mean((2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
