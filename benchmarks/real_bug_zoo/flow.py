"""Optical flow by warping the second image's features onto the first's, as in PWC-Net."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12", "B,3,12,12"]


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Features read where the flow points to."""
    height, width = features.shape[2:]
    rows = torch.linspace(-1, 1, height, dtype=flow.dtype)
    columns = torch.linspace(-1, 1, width, dtype=flow.dtype)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    step = torch.tensor([2 / (width - 1), 2 / (height - 1)], dtype=flow.dtype)
    grid = torch.stack([x, y], dim=-1) + flow.permute(0, 2, 3, 1) * step  # (B, H, W, 2)
    return functional.grid_sample(features, grid, align_corners=True)


class Net(nn.Module):
    """A first guess, and its correction from what the guess leaves over."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.guess = nn.Conv2d(16, 2, 3, padding=1)
        self.refine = nn.Conv2d(18, 2, 3, padding=1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, 2, H, W)."""
        one, other = torch.tanh(self.features(first)), torch.tanh(self.features(second))
        flow = self.guess(torch.cat([one, other], dim=1))
        correction: Tensor = self.refine(torch.cat([one, warp(other, flow), flow], dim=1))
        total: Tensor = flow + correction
        return total


def build() -> nn.Module:
    """The network."""
    return Net()
