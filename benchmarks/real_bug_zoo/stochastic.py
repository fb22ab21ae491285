"""A residual network that drops its branches example by example, as in stochastic depth."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]
KEEP = 0.8


def drop_branch(branch: Tensor, is_training: bool) -> Tensor:
    """Whole examples dropped in train mode; in eval mode all, as large as in the mean over many steps."""
    if not is_training:
        return branch * KEEP
    kept = torch.rand(len(branch), 1, 1, 1) < KEEP
    return branch * kept.to(branch.dtype)


class Block(nn.Module):
    """A branch of two convolutions beside a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        branch = self.conv2(functional.relu(self.conv1(x)))
        branch = drop_branch(branch, self.training)
        return functional.relu(x + branch)


class Net(nn.Module):
    """Stem, two blocks, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
