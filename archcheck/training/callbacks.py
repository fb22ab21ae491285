"""Callbacks of a training run, and the progress that they get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archcheck.training.records import EpochRecord

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """The progress of a run, as a terminal's line shows it.

    num_epochs: None where only the user's own loop knows it. fraction: of the current epoch, from 0 to 1.
    loss: None, and examples_per_sec: 0, where such a loop doesn't tell.
    accuracy: of the last epoch, on the test set; None before the first has ended.
    finished: the record of an epoch that has just ended; None in the middle of one.
    """

    epoch: int
    num_epochs: int | None
    fraction: float
    loss: float | None
    accuracy: float | None
    examples_per_sec: float
    left_sec: float
    finished: EpochRecord | None = None


@dataclass(frozen=True, slots=True)
class TrainingCallbacks:
    """Functions that a run calls: `on_progress` a few times a second and after each epoch, `on_epoch` after each."""

    on_progress: Callable[[TrainingProgress], None] | None = None
    on_epoch: Callable[[EpochRecord, nn.Module], None] | None = None
