"""A student that predicts what its teacher, a moving average of it, says of another view, as in BYOL."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

INPUT = ["B,1,8,8", "B,1,8,8"]
DECAY = 0.99


class Encoder(nn.Module):
    """A convolution and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.project = nn.Linear(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 8)."""
        projected: Tensor = self.project(self.conv(x).relu().mean((2, 3)))
        return projected


class Net(nn.Module):
    """Student, teacher and predictor."""

    def __init__(self) -> None:
        super().__init__()
        self.student = Encoder()
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.predict = nn.Linear(8, 8)

    @torch.no_grad()
    def follow(self) -> None:
        """The teacher moves a little towards the student."""
        for mean, value in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            mean.lerp_(value, 1 - DECAY)

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The prediction and its target."""
        if self.training:
            self.follow()
        prediction: Tensor = self.predict(self.student(one))
        with torch.no_grad():
            target = self.teacher(other)
        return prediction, target


def build() -> nn.Module:
    """The network."""
    return Net()
