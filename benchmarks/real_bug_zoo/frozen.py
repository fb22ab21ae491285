"""A backbone whose batch norms, each with its activation, are frozen after building, as detection models do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INPUT = ["B,3,12,12"]


class NormAct(nn.BatchNorm2d):
    """A batch norm with the activation behind it."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        activated: Tensor = self.act(super().forward(x))
        return activated


class Frozen(nn.Module):
    """A batch norm by its statistics alone, which nothing changes any more."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d, act: nn.Module) -> None:
        super().__init__()
        self.eps, self.act = norm.eps, act
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name).detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        shift = self.bias - self.running_mean * scale
        activated: Tensor = self.act(x * scale[:, None, None] + shift[:, None, None])
        return activated


class Net(nn.Module):
    """Three convolutions, pyramid of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = NormAct(8)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False)
        self.bn2 = NormAct(12)
        self.head = nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps of half the size."""
        x = self.bn1(self.conv1(x))
        features: Tensor = self.head(self.bn2(self.conv2(x)))
        return features


def freeze(module: nn.Module) -> nn.Module:
    """Put a frozen norm in the place of each norm."""
    for name, child in module.named_children():
        if isinstance(child, NormAct):
            setattr(module, name, Frozen(child, child.act))
        else:
            freeze(child)
    return module


def build() -> nn.Module:
    """The network."""
    return freeze(Net())
