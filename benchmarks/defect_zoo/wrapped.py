"""A classifier with code around its layers: a decorator, an overridden call, a hook, a forward on an instance."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,2,8,8"]


def standardised(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a network's forward see standardised images."""

    @functools.wraps(forward)
    def inner(self: Any, image: Tensor) -> Tensor:
        return forward(self, (image - self.mean) / self.std)

    return inner


def add_low_rank(linear: nn.Linear, rank: int) -> None:
    """Add a product of two small layers to what a linear layer gives."""
    linear.down = nn.Linear(linear.in_features, rank, bias=False)
    linear.up = nn.Linear(rank, linear.out_features, bias=False)
    original = linear.forward

    def forward(x: Tensor) -> Tensor:
        added: Tensor = linear.up(functional.dropout(linear.down(x), 0.1, linear.training))  # type: ignore[operator]
        return original(x) + 0.5 * added

    linear.forward = forward  # type: ignore[method-assign, assignment]


class Calibrated(nn.Module):
    """Divides by a temperature whatever a subclass returns."""

    temperature: nn.Parameter

    def __call__(self, image: Tensor) -> Tensor:
        """Calibrated logits."""
        logits: Tensor = super().__call__(image)
        return logits / self.temperature.clamp(min=0.1)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)
        self.conv = nn.Conv2d(dim, dim, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + torch.tanh(self.conv(self.norm(x)))


class Wrapped(Calibrated):
    """A stem, two blocks of which one has an adapter, a head with a low rank added."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.6])[:, None, None])
        self.register_buffer("std", torch.tensor([0.2, 0.3])[:, None, None])
        self.stem = nn.Conv2d(2, 6, kernel_size=3, padding=1)
        self.block1 = Block(6)
        self.block2 = Block(6)
        self.adapter = nn.Conv2d(6, 6, kernel_size=1)
        self.block1.register_forward_hook(self.adapt)
        self.hidden = nn.Linear(6 * 4, 10)
        self.head = nn.Linear(10, 4)
        self.temperature = nn.Parameter(torch.ones(()))
        add_low_rank(self.hidden, 3)

    def adapt(self, _block: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add what the adapter makes of a block's output."""
        return output + functional.gelu(self.adapter(output))

    @standardised
    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        x = functional.relu(self.stem(image))
        x = self.block2(self.block1(x))
        x = functional.adaptive_avg_pool2d(x, 2).flatten(1)
        logits: Tensor = self.head(functional.relu(self.hidden(x)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Wrapped()
