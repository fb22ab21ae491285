"""What is counted while a network trains, on its device: nothing here waits for it before an epoch is over."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

_REGRESSION = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "GaussianNLLLoss")
_BINARY = {"BCEWithLogitsLoss": 0.0, "BCELoss": 0.5, "MultiLabelSoftMarginLoss": 0.0}  # loss -> where yes begins


class Metric(Protocol):
    """A figure of merit over many batches: 1 is the best."""

    name: str

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch."""

    def value(self) -> float:
        """The figure over everything counted; waits for the device."""


class TopOne:
    """The share of examples whose largest output is their class's. outputs: (B, K, ...), targets: (B, ...)."""

    name = "accuracy"

    def __init__(self) -> None:
        self._correct: Tensor | int = 0
        self._total = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch; targets of probabilities count by their largest."""
        if targets.is_floating_point():
            targets = targets.argmax(1)
        self._correct = self._correct + (outputs.argmax(1) == targets).sum()
        self._total += targets.numel()

    def value(self) -> float:
        """Accuracy, 0 to 1."""
        return float(self._correct) / max(self._total, 1)


class Binary:
    """The share of yes-or-no answers that are right. outputs and targets: (B, ...) of the same shape."""

    name = "accuracy"

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._correct: Tensor | int = 0
        self._total = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch."""
        self._correct = self._correct + ((outputs > self._threshold) == (targets > 0.5)).sum()
        self._total += targets.numel()

    def value(self) -> float:
        """Accuracy, 0 to 1."""
        return float(self._correct) / max(self._total, 1)


class RSquared:
    """The share of the targets' variance that the outputs explain. outputs and targets: (B, ...) of the same shape."""

    name = "R²"

    def __init__(self) -> None:
        self._shift: Tensor | float = 0.0
        self._sums: Tensor | None = None  # of squared errors, targets, squared targets
        self._total = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch; targets are taken from the first batch's mean, as their squares would drown their variance."""
        targets = targets.detach().float()
        if self._sums is None:
            self._shift = targets.mean()
        centred = targets - self._shift
        errors = (outputs.detach().float() - targets).square().sum()
        sums = torch.stack([errors, centred.sum(), centred.square().sum()])
        self._sums = sums if self._sums is None else self._sums + sums
        self._total += targets.numel()

    def value(self) -> float:
        """R², at most 1; negative where the targets' mean would do better."""
        if self._sums is None:
            return 0.0
        errors, total, squares = self._sums.tolist()
        variance = float(squares - total**2 / self._total)
        return 1 - errors / variance if variance > 0 else 0.0


def takes_classes(loss_name: str) -> bool:
    """Whether a loss goes with integer targets, one class for each example."""
    return loss_name not in _REGRESSION and loss_name not in _BINARY


def make_metric(loss_name: str) -> Metric:
    """The metric that goes with a loss: top-1, yes or no, or R² for a regression."""
    if loss_name in _REGRESSION:
        return RSquared()
    return Binary(_BINARY[loss_name]) if loss_name in _BINARY else TopOne()
