"""Records of training runs, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

OUT_OF_MEMORY: Final = "out of memory"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of training: mean loss, accuracy on both sets, and the training steps' wall-clock rate.

    Accuracies are top-1 from 0 to 1, or R² where the loss is a regression's. `first_step_sec` is the time of
    the run's first step, with its compilation and allocations, which the rate leaves out; 0 in all later epochs.
    A loop of the user's own tells no accuracy on the training set and no rate (None and 0), and perhaps no loss.
    """

    epoch: int
    loss: float | None
    train_accuracy: float | None
    test_accuracy: float
    examples_per_sec: float
    duration_sec: float
    first_step_sec: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingFault:
    """Why a run ended early, in one line; `key` is the part of the recipe that is to blame."""

    message: str
    key: str

    @property
    def lacks_memory(self) -> bool:
        """Whether memory ran out: another time it may not."""
        return OUT_OF_MEMORY in self.message


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A training run: its epochs, and how it was done.

    `kind` is the recipe's, quick or full. `reached` is true where the run stopped early, the minimum reached and
    confirmed. `fault` is None for a run that came to its end. `graph_problem` is why a step that was to be a graph was
    none. Of a loop of the user's own, `precision` isn't known, `returned` is the accuracy that it returned, if any, and
    `untrained` says which parameters it left as they were. `tests_on_training_set` says that both sets are the same.
    `constant_accuracy` is what one answer to all test examples reaches; None where that isn't known, as of a loop's.
    """

    epochs: tuple[EpochRecord, ...]
    kind: str
    seed: int
    device: str
    precision: str | None
    num_threads: int = 1
    metric: str = "accuracy"
    reached: bool = False
    fault: TrainingFault | None = None
    returned: float | None = None
    graph_problem: str | None = None
    untrained: str | None = None
    tests_on_training_set: bool = False
    constant_accuracy: float | None = None

    @property
    def final_accuracy(self) -> float | None:
        """What a loop returned, else the last epoch's accuracy on the test set; None where no epoch came to its end."""
        if self.returned is not None:
            return self.returned
        return self.epochs[-1].test_accuracy if self.epochs else None

    @property
    def examples_per_sec(self) -> float | None:
        """The rate over all epochs, by wall clock."""
        rated = [epoch for epoch in self.epochs if epoch.examples_per_sec > 0]
        spent = sum(epoch.duration_sec for epoch in rated)
        return sum(epoch.examples_per_sec * epoch.duration_sec for epoch in rated) / spent if spent else None

    def figures(self) -> dict[str, Any]:
        """Return what a table shows of a run with at least one epoch: its circumstances and the last epoch, by name."""
        last = self.epochs[-1]
        return {
            "recipe": self.kind,
            "device": self.device,
            "precision": self.precision,
            "seed": self.seed,
            "epochs": last.epoch,
            "loss": last.loss,
            "train_accuracy": last.train_accuracy,
            "test_accuracy": self.final_accuracy,
            "examples_per_sec": self.examples_per_sec,
            "first_step_sec": self.epochs[0].first_step_sec,
        }
