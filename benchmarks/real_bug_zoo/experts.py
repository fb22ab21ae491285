"""A mixture of experts whose balance is a loss on the side, carried along by the router's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,5,8"]
DIM, EXPERTS = 8, 4


class WithLoss(torch.autograd.Function):
    """The tensor as it is; on the way back the loss gets a gradient of one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, loss: Tensor) -> Tensor:
        """The same tensor."""
        ctx.save_for_backward(loss)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient as it is, and the loss's."""
        (loss,) = ctx.saved_tensors
        return gradients[0], torch.ones_like(loss)


class Experts(nn.Module):
    """Every token goes to its expert."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(DIM, EXPERTS, bias=False)
        self.experts = nn.ModuleList([nn.Linear(DIM, DIM) for _ in range(EXPERTS)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        weights = self.router(x).softmax(dim=-1)  # (B, T, E)
        chosen = functional.one_hot(weights.argmax(dim=-1), EXPERTS).to(x.dtype)
        balance = EXPERTS * (chosen.mean((0, 1)) * weights.mean((0, 1))).sum()
        if self.training:
            weights = apply_loss(weights, balance)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)  # (B, T, D, E)
        mixed: Tensor = (outputs * (chosen * weights)[:, :, None]).sum(dim=-1)
        return mixed


def apply_loss(x: Tensor, loss: Tensor) -> Tensor:
    """The tensor, which carries the loss along."""
    carried: Tensor = WithLoss.apply(x, loss)
    return carried


class Net(nn.Module):
    """Experts beside a skip, scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Experts()
        self.head = nn.Linear(DIM, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 3)."""
        scores: Tensor = self.head(x + self.layer(x))
        return scores


def build() -> nn.Module:
    """The network."""
    return Net()
