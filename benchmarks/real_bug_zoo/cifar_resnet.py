"""A residual network of three blocks, which return their sums before the activation."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12"]


class Block(nn.Module):
    """Two convolutions beside a skip; the activation behind the sum is the caller's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        total: Tensor = out + x
        return total


class Net(nn.Module):
    """Stem, three blocks, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.block_a = Block(8)
        self.block_b = Block(8)
        self.block_c = Block(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        stem = functional.relu(self.bn(self.conv(x)))
        pooled = functional.max_pool2d(stem, 2)
        a = functional.relu(self.block_a(pooled))
        sum_b = self.block_b(a)
        b = functional.relu(sum_b)
        sum_c = self.block_c(b)
        c = functional.relu(sum_c)
        logits: Tensor = self.head(c.mean((2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
