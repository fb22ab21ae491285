"""A pre-activation residual network: norm and activation come before each convolution."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12"]


class PreactBlock(nn.Module):
    """Norm, ReLU, convolution, twice; the shortcut starts behind the first activation where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """No activation behind the sum."""
        out = functional.relu(self.norm1(x))
        if self.shortcut is not None:
            x = self.shortcut(out)
        out = self.conv1(out)
        out = self.conv2(functional.relu(self.norm2(out)))
        summed: Tensor = out + x
        return summed


class PreactNet(nn.Module):
    """Stem, three blocks, last norm, head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.block1 = PreactBlock(8, 8)
        self.block2 = PreactBlock(8, 16, stride=2)
        self.block3 = PreactBlock(16, 16)
        self.norm = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.block3(self.block2(self.block1(self.stem(x))))
        x = functional.relu(self.norm(x))
        x = functional.avg_pool2d(x, 6)[:, :, 0, 0]
        logits: Tensor = self.fc(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return PreactNet()
