"""A choice between kernels of two sizes, channel by channel, as in SKNet."""

import torch
from torch import Tensor, nn

INPUT = ["B,4,8,8"]


class Selective(nn.Module):
    """Convolutions of two kernel sizes, weighted by what all pixels say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(channels, channels, size, padding=size // 2) for size in (3, 5)])
        self.squeeze = nn.Linear(channels, 6)
        self.votes = nn.ModuleList([nn.Linear(6, channels) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        features = torch.stack([conv(x) for conv in self.convs])  # (K, B, C, H, W)
        summary = self.squeeze(features.sum(dim=0).mean((2, 3)))
        votes = torch.stack([vote(summary) for vote in self.votes])  # (K, B, C)
        weights = votes.softmax(dim=0)
        return (weights[:, :, :, None, None] * features).sum(dim=0)


class Net(nn.Module):
    """One choice and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.selective = Selective(4)
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.selective(x).relu().mean((2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
