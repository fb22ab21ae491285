"""A normalizing flow: affine couplings between mixing matrices, and the density of what went in."""

import math

import torch
from torch import Tensor, nn

INPUT = ["B,6"]
DIM = 6


class ActNorm(nn.Module):
    """A scale and a shift for each dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(DIM))
        self.shift = nn.Parameter(torch.zeros(DIM))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same shape, and the logarithm of the volume."""
        return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))


class Mixing(nn.Module):
    """An invertible matrix in its LU decomposition, with a fixed permutation."""

    permutation: Tensor
    sign: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("permutation", torch.eye(DIM).roll(1, dims=0))
        self.register_buffer("sign", torch.tensor([1.0, -1.0]).repeat(DIM // 2))
        self.lower = nn.Parameter(torch.randn(DIM, DIM) * 0.1)
        self.upper = nn.Parameter(torch.randn(DIM, DIM) * 0.1)
        self.log_diagonal = nn.Parameter(torch.randn(DIM) * 0.1)

    def matrix(self) -> Tensor:
        """(D, D)."""
        lower = self.lower.tril(-1) + torch.eye(DIM, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same shape, and the logarithm of the volume."""
        return x @ self.matrix().mT, self.log_diagonal.sum().expand(len(x))


class Coupling(nn.Module):
    """One half is moved by what the other says."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(DIM // 2, 10), nn.Tanh(), nn.Linear(10, DIM))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same shape, and the logarithm of the volume."""
        kept, moved = x.chunk(2, dim=1)
        scale, shift = self.net(kept).chunk(2, dim=1)
        log_scale = 2.0 * torch.tanh(scale / 2.0)
        moved = moved * log_scale.exp() + shift
        return torch.cat([kept, moved], dim=1), log_scale.sum(dim=1)


class Flow(nn.Module):
    """Two steps, and a normal distribution behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for _ in range(2):
            self.steps.extend([ActNorm(), Mixing(), Coupling()])

    def forward(self, x: Tensor) -> Tensor:
        """The logarithm of the density: (B,)."""
        volume = x.new_zeros(len(x))
        for step in self.steps:
            x, added = step(x)
            volume = volume + added
        density = -0.5 * (x.square() + math.log(2 * math.pi)).sum(dim=1)
        return density + volume


def build() -> nn.Module:
    """The network."""
    return Flow()
