"""Training aware of quantisation: weights and activations are rounded, straight-through; observers follow."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]
LEVELS = 15


class Round(torch.autograd.Function):
    """Rounding with the gradient of the identity."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        """The nearest whole numbers."""
        return x.round()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        """As it came."""
        return gradient


def round_through(x: Tensor) -> Tensor:
    """Rounded, with the gradient of the identity."""
    out: Tensor = Round.apply(x)
    return out


class Observer(nn.Module):
    """Activations in steps between the smallest and the largest, which are moving averages."""

    low: Tensor
    high: Tensor
    is_started: Tensor

    def __init__(self, momentum: float = 0.2) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("low", torch.tensor(-1.0))
        self.register_buffer("high", torch.tensor(1.0))
        self.register_buffer("is_started", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if self.training:
            self.follow(x.detach())
        step = (self.high - self.low).clamp(min=1e-6) / LEVELS
        zero = round_through(-self.low / step)
        return (round_through(x / step + zero).clamp(0, LEVELS) - zero) * step

    def follow(self, x: Tensor) -> None:
        """Move the ends; the first batch sets them."""
        low, high = x.min(), x.max()
        if self.is_started:
            low = self.low + self.momentum * (low - self.low)
            high = self.high + self.momentum * (high - self.high)
        self.low.copy_(low)
        self.high.copy_(high)
        self.is_started.fill_(True)


def quantise(weight: Tensor) -> Tensor:
    """A weight in 15 steps for each output, symmetrical around 0."""
    scale = weight.detach().abs().flatten(1).amax(dim=1).clamp(min=1e-6) / (LEVELS // 2)
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    return round_through(weight / scale).clamp(-(LEVELS // 2), LEVELS // 2) * scale


class Convolution(nn.Conv2d):
    """A convolution with a rounded weight."""

    def forward(self, x: Tensor) -> Tensor:
        """As any."""
        return functional.conv2d(x, quantise(self.weight), self.bias, self.stride, self.padding)


class Quantised(nn.Module):
    """Two convolutions and a head, with observers in front of each."""

    def __init__(self) -> None:
        super().__init__()
        self.observe1 = Observer()
        self.conv1 = Convolution(3, 6, kernel_size=3, padding=1)
        self.observe2 = Observer()
        self.conv2 = Convolution(6, 8, kernel_size=3, stride=2, padding=1)
        self.observe3 = Observer()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """One logit for each class."""
        x = functional.relu6(self.conv1(self.observe1(x)))
        x = functional.relu6(self.conv2(self.observe2(x)))
        x = self.observe3(x.mean(dim=(2, 3)))
        return functional.linear(x, quantise(self.head.weight), self.head.bias)


def build() -> nn.Module:
    """The network."""
    return Quantised()
