"""Gated layers for tables: the steps share their linear layer, and each has a norm of its own, as in TabNet."""

import torch
from torch import Tensor, nn

INPUT = ["B,6"]
DIM, STEPS = 8, 2


class Gated(nn.Module):
    """A linear layer, a norm and a gate."""

    def __init__(self, shared: nn.Linear, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        self.linear, self.norm = shared, norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        value, gate = self.norm(self.linear(x)).chunk(2, dim=1)
        gated: Tensor = value * torch.sigmoid(gate)
        return gated


class Net(nn.Module):
    """Steps one after the other, added up."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, DIM)
        shared = nn.Linear(DIM, 2 * DIM, bias=False)
        norms = [nn.BatchNorm1d(2 * DIM) for _ in range(STEPS)]
        self.steps = nn.ModuleList([Gated(shared, norm) for norm in norms])
        self.head = nn.Linear(DIM, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.embed(x)
        for step in self.steps:
            x = (x + step(x)) * 0.5**0.5
        logits: Tensor = self.head(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
