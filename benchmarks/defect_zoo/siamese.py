"""A siamese network: one tower for both images, their difference scored."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,1,10,10", "B,1,10,10"]


class Tower(nn.Module):
    """An image's embedding, of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, kernel_size=3)
        self.fc = nn.Linear(8 * 9, 12)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 10, 10) -> (B, 12)."""
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)  # (B, 6, 5, 5)
        x = self.prelu(self.conv2(x))  # (B, 8, 3, 3)
        return functional.normalize(self.fc(x.flatten(1)), dim=1)


class Siamese(nn.Module):
    """A score for each pair."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()
        self.score = nn.Linear(24, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The probability that both show the same."""
        a, b = self.tower(first), self.tower(second)
        features = torch.cat([(a - b).abs(), a * b], dim=1)
        return torch.sigmoid(self.score(features)).squeeze(1)


def build() -> nn.Module:
    """The network."""
    return Siamese()
