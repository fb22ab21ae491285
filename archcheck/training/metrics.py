"""Metrics of a network's outputs, summed on the device: nothing waits for the device before an epoch is over."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from archcheck.spec.models import Named

_REGRESSION = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "GaussianNLLLoss")
# Binary loss -> the output above which the answer is yes.
_BINARY = {"BCEWithLogitsLoss": 0.0, "BCELoss": 0.5, "MultiLabelSoftMarginLoss": 0.0, "SoftMarginLoss": 0.0}
_IGNORES = ("CrossEntropyLoss", "NLLLoss")


class Metric(Protocol):
    """A figure of merit over many batches; 1 is the best."""

    name: str

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch."""

    def value(self) -> float:
        """Return the figure over all batches; waits for the device."""


class Top1Accuracy:
    """The share of examples whose largest output is their class's. outputs: (B, K, ...), targets: (B, ...).

    ignored: a label of examples that don't count.
    """

    name = "accuracy"

    def __init__(self, ignored: int | None = None) -> None:
        self._ignored = ignored
        self._correct: Tensor | int = 0
        self._total: Tensor | int = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch; targets of probabilities count by their largest."""
        if targets.is_floating_point():
            targets = targets.argmax(1)
        self._correct = self._correct + (outputs.argmax(1) == targets).sum()
        # By default only pixels and words are left out: labels of whole examples aren't compared with `ignored`.
        if self._ignored is None or (self._ignored < 0 and targets.ndim == 1):
            self._total += targets.numel()
        else:
            self._total = self._total + (targets != self._ignored).sum()

    def value(self) -> float:
        """Return the accuracy, from 0 to 1."""
        return float(self._correct) / max(int(self._total), 1)


class BinaryAccuracy:
    """The share of yes-or-no answers that are right. outputs and targets: (B, ...) of the same shape.

    threshold: outputs above it mean yes.
    """

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
        """Return the accuracy, from 0 to 1."""
        return float(self._correct) / max(self._total, 1)


class RSquared:
    """The share of the targets' variance that the outputs explain. outputs and targets: (B, ...) of the same shape.

    Several targets for an example are weighted by their variances, each about its own mean.
    """

    name = "R²"

    def __init__(self) -> None:
        self._shift: Tensor | float = 0.0
        self._sums: Tensor | None = None  # (3, D): of squared errors, targets, squared targets
        self._total = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch; targets are taken from the first batch's mean, as their squares would drown their variance."""
        targets = targets.detach().float().reshape(len(targets), -1)  # (B, D)
        outputs = outputs.detach().float().reshape(len(targets), -1)
        if self._sums is None:
            self._shift = targets.mean(0)
        centred = targets - self._shift
        sums = torch.stack([(outputs - targets).square().sum(0), centred.sum(0), centred.square().sum(0)])
        self._sums = sums if self._sums is None else self._sums + sums
        self._total += len(targets)

    def value(self) -> float:
        """Return R², at most 1; negative where the targets' mean would predict better."""
        if self._sums is None:
            return 0.0
        errors, total, squares = self._sums.cpu().double()
        variance = float((squares - total**2 / self._total).sum())
        return 1 - float(errors.sum()) / variance if variance > 0 else 0.0


class ConstantAnswer:
    """The accuracy of the best single answer to all examples, which takes no network."""

    def __init__(self, loss: Named) -> None:
        self._ignored = ignored_label(loss)
        self._is_binary = loss.name in _BINARY
        self._is_known = loss.name not in _REGRESSION
        self._counts: Tensor | float = 0.0  # (answers, D): how many examples each answer is right for
        self._total: Tensor | float = 0.0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count the targets of a batch: (B, ...), as outputs or, of classes, without their dimension."""
        if not self._is_known:
            return
        if self._is_binary:
            yes = (targets > 0.5).float().reshape(len(targets), -1)  # (B, D)
            counts = torch.stack([yes.sum(0), (1 - yes).sum(0)])
        else:
            labels = (targets.argmax(1) if targets.is_floating_point() else targets).flatten()
            num_classes = outputs.shape[1]
            # What is ignored is counted apart: taking it out would wait for the device.
            bins = labels if self._ignored is None else labels.where(labels != self._ignored, num_classes)
            ones = torch.ones_like(bins, dtype=torch.float32)  # float64 isn't everywhere
            counts = ones.new_zeros(num_classes + 1).scatter_add(0, bins, ones)[:num_classes, None]
        self._counts = self._counts + counts
        self._total = self._total + counts.sum()

    def value(self) -> float | None:
        """Return the accuracy; None for a regression, or where there was nothing to count."""
        if not isinstance(self._counts, Tensor) or not float(self._total):
            return None
        return float(self._counts.max(0).values.sum() / self._total)


def takes_classes(loss_name: str) -> bool:
    """Whether a loss goes with integer targets, one class for each example."""
    return loss_name not in _REGRESSION and loss_name not in _BINARY


def ignored_label(loss: Named) -> int | None:
    """Return the label that a loss ignores; None where it ignores none."""
    if loss.name not in _IGNORES:
        return None
    given = (loss.model_extra or {}).get("ignore_index", -100)
    return given if isinstance(given, int) else None


def make_metric(loss: Named) -> Metric:
    """Return the metric that goes with a loss: top-1 or binary accuracy, or R² for a regression."""
    if loss.name in _REGRESSION:
        return RSquared()
    return BinaryAccuracy(_BINARY[loss.name]) if loss.name in _BINARY else Top1Accuracy(ignored_label(loss))
