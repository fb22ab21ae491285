"""Inverted residuals with squeeze-and-excite, as in MobileNetV3."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


class SqueezeExcite(nn.Module):
    """Channels scaled by what they hold on average."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, kernel_size=1)
        self.expand = nn.Conv2d(reduced, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        scale = x.mean(dim=(2, 3), keepdim=True)
        scale = functional.relu(self.reduce(scale))
        return x * functional.hardsigmoid(self.expand(scale))


class InvertedResidual(nn.Module):
    """Expand, filter by channel, squeeze-and-excite, project."""

    def __init__(self, channels: int, hidden: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(hidden, eps=1e-3, momentum=0.01)
        self.depthwise = nn.Conv2d(
            hidden, hidden, kernel_size, stride, padding=kernel_size // 2, groups=hidden, bias=False
        )
        self.norm2 = nn.BatchNorm2d(hidden, eps=1e-3, momentum=0.01)
        self.excite = SqueezeExcite(hidden, hidden // 4)
        self.project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)
        self.has_skip = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """The input is added where the shape allows."""
        y = functional.hardswish(self.norm1(self.expand(x)))
        y = functional.relu6(4 * self.norm2(self.depthwise(y)))
        y = self.norm3(self.project(self.excite(y)))
        out: Tensor = x + y if self.has_skip else y
        return out


class MobileNet(nn.Module):
    """Stem, three blocks, head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1, bias=False)
        self.block1 = InvertedResidual(8, 16, 8, 3)
        self.block2 = InvertedResidual(8, 24, 12, 5, stride=2)
        self.block3 = InvertedResidual(12, 24, 12, 3)
        self.fc1 = nn.Linear(12, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.hardswish(self.stem(x))
        x = self.block3(self.block2(self.block1(x)))
        x = functional.hardswish(self.fc1(x.mean(dim=(2, 3))))
        x = functional.dropout(x, p=0.2, training=self.training)
        logits: Tensor = self.fc2(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return MobileNet()
