"""Twin critics with a dueling head: what an action is worth in a state, one number for each."""

from itertools import pairwise

import torch
from torch import Tensor, nn

INPUT = ["B,6", "B,2"]


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers, each but the last followed by dropout, a norm and a ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), nn.Dropout(0.1), nn.LayerNorm(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


class Dueling(nn.Module):
    """The state's value, and what the action adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.value = mlp(6, 16, 1)
        self.advantage = mlp(8, 16, 12, 4)

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """(B,)."""
        parts = self.advantage(torch.cat([state, torch.tanh(action)], dim=-1))  # (B, 4)
        advantage = parts - parts.mean(dim=-1, keepdim=True)
        worth: Tensor = self.value(state).squeeze(-1) + advantage[:, 0]
        return worth


class Critic(nn.Module):
    """The lesser of two opinions."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.linspace(-0.5, 0.5, 6))
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 6))
        self.q1 = Dueling()
        self.q2 = Dueling()

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """What is expected, pessimistically: (B,)."""
        state = (state - self.shift) / self.scale
        first, second = self.q1(state, action), self.q2(state, action)
        return torch.minimum(first, second)


def build() -> nn.Module:
    """The network."""
    return Critic()
