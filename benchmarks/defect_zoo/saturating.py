"""A narrow network whose gates are shut for most weights: squeeze-and-excite of few channels, a small temperature."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12"]


class Excite(nn.Module):
    """Channels scaled by a hard gate of what they hold on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, 2, kernel_size=1)
        self.expand = nn.Conv2d(2, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        scale = functional.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * functional.hardsigmoid(-40 * self.expand(scale).abs())


class Pool(nn.Module):
    """The mean over places, weighed by a softmax of a small temperature."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """A vector of channels."""
        weights = torch.softmax(self.score(x).flatten(2) / 0.001, dim=-1)
        return (x.flatten(2) * weights).sum(-1)


class Narrow(nn.Module):
    """Stem, a block with a skip connection, gates, head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, kernel_size=3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(4, eps=1e-3)
        self.conv = nn.Conv2d(4, 4, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(4, eps=1e-3)
        self.side = nn.Conv2d(4, 4, kernel_size=1)
        self.excite = Excite(4)
        self.pool = Pool(4)
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.relu(self.norm1(self.stem(x)))
        x = x + functional.relu(self.norm2(self.conv(x)))
        x = x + self.side(x)
        logits: Tensor = self.fc(self.pool(self.excite(x)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Narrow()
