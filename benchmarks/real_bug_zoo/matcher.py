"""Features of two images with sinusoidal positions in two dimensions, compared, as in LoFTR."""

import math

import torch
from torch import Tensor, nn

INPUT = ["B,1,6,6", "B,1,6,6"]
DIM = 16


def sinusoids(height: int, width: int) -> Tensor:
    """(D, H, W); half of the channels tell of the column, half of the row."""
    rates = torch.exp(torch.arange(0, DIM // 2, 2).float() * (-math.log(10000.0) / (DIM // 2)))[:, None, None]
    columns = torch.arange(1, width + 1).float().expand(height, width)
    rows = torch.arange(1, height + 1).float()[:, None].expand(height, width)
    return torch.cat([(columns * rates).sin(), (columns * rates).cos(), (rows * rates).sin(), (rows * rates).cos()])


class Net(nn.Module):
    """One backbone for both images, positions, a projection, similarities."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(1, DIM, 3, padding=1)
        self.register_buffer("positions", sinusoids(6, 6), persistent=False)
        self.project = nn.Linear(DIM, DIM, bias=False)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """(B, N, N), how alike the pixels are."""
        one, other = (self.describe(image) for image in (left, right))
        return (one @ other.mT / DIM).softmax(dim=-1)

    def describe(self, image: Tensor) -> Tensor:
        """(B, N, D)."""
        features = (self.backbone(image) + self.positions).flatten(2).transpose(1, 2)
        described: Tensor = self.project(features)
        return described


def build() -> nn.Module:
    """The network."""
    return Net()
