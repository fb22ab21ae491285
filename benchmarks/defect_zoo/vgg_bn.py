"""Convolutions with batch norm and functional activations, global average pooling and a linear head."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width at stride 1."""
        return functional.relu(self.norm(self.conv(x)))


class VggNorm(nn.Module):
    """Four of them in two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 8)
        self.down1 = ConvNorm(8, 16, stride=2)
        self.mid = ConvNorm(16, 16)
        self.down2 = ConvNorm(16, 24)
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.down1(self.stem(x))
        x = self.down2(self.mid(x))  # (B, 24, 8, 8)
        x = functional.avg_pool2d(x, kernel_size=4).amax(dim=(2, 3))
        logits: Tensor = self.head(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return VggNorm()
