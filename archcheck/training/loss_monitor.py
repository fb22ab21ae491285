"""Ends a training run whose loss is no finite number any more, or has exploded."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from archcheck.network.input_source import all_tensors
from archcheck.training.failures import RunFailed

EXPLODED = 1_000  # times the first loss: no run recovers from there
# Reading the loss waits for the device: on the CPU that costs nothing, on a GPU the overlap with the next step.
STEPS_BETWEEN_READS = 20
_ADVICE = ": a smaller learning rate, clip_grad_norm or another init may keep it in bounds"


def check_batch(batch: Any, where: str) -> None:
    """Check that the tensors of a batch hold finite numbers.

    Raises:
        RunFailed: one doesn't; it's about the data set.
    """
    for part, name in zip(batch or (), ("inputs", "targets"), strict=False):
        for tensor in all_tensors(part):
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise RunFailed(f"the data set's {name} {where} hold nan or inf", "dataset")


class LossMonitor:
    """Reads the loss of a run every few steps, and ends the run where the loss isn't finite or has exploded.

    last: the loss that was read last; NaN before the first.
    """

    def __init__(self, device: torch.device) -> None:
        self._interval = 1 if device.type == "cpu" else STEPS_BETWEEN_READS
        self._first: float | None = None
        self.last = math.nan

    def check_step(self, loss: Tensor, epoch: int, step: int, batch: Any = None) -> None:
        """Check the loss of a step, a scalar on the device, where it is one of the steps to look at.

        batch: what the loss is of; where it holds no finite numbers, that is the reason.

        Raises:
            RunFailed: the loss isn't finite, or over 1,000 times the first.
        """
        if self._first is not None and step % self._interval:
            return
        self.last = value = _finite(loss, epoch, step, batch)
        if self._first is None:
            self._first = abs(value)
        if abs(value) > EXPLODED * max(self._first, 1.0):
            problem = f"the loss has exploded, from {self._first:.3g} to {value:.3g} in epoch {epoch}, step {step}"
            raise RunFailed(f"{problem}{_ADVICE}", "optimizer")

    def check_epoch(self, loss_sum: Tensor, epoch: int, num_steps: int) -> None:
        """Check the sum of an epoch's losses, which isn't finite where one of them wasn't.

        Raises:
            RunFailed: the sum isn't finite.
        """
        _finite(loss_sum, epoch, num_steps)


def _finite(loss: Tensor, epoch: int, step: int, batch: Any = None) -> float:
    value = float(loss)
    if not math.isfinite(value):
        check_batch(batch, f"in epoch {epoch}, step {step}")
        raise RunFailed(f"the loss is {value} in epoch {epoch}, step {step}{_ADVICE}", "optimizer")
    return value
