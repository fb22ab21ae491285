"""The `report` that a loop of the user's own is given: it keeps the learning curve, and says when to stop."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor, nn

from archcheck.network.devices import device_name
from archcheck.text.words import kind_of
from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.early_stopping import has_confirmed_minimum
from archcheck.training.interrupt_recorder import InterruptRecorder
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord

PROGRESS_INTERVAL_SEC = 0.2
_UNKNOWN_EPOCHS = 1 << 60


class LoopEnded(BaseException):
    """Leaves a loop whose run is at an end, past any `except Exception` of its own; the report knows why."""


class LoopReport:
    """The learning curve of a run of the user's own loop, and what ended it.

    name: of the loop, for messages. num_epochs: how many the loop was asked for; None where it wasn't asked.
    interrupts: a Ctrl-C among them that Python dropped is raised again at the next report.
    fault: why the run failed; None where it didn't.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        network: nn.Module,
        callbacks: TrainingCallbacks,
        num_epochs: int | None,
        interrupts: InterruptRecorder,
    ) -> None:
        self._name = name
        self._recipe = replace(recipe, epochs=num_epochs or _UNKNOWN_EPOCHS)
        self._network = network
        self._callbacks = callbacks
        self._num_epochs = num_epochs
        self._interrupts = interrupts
        self._first_epoch: int | None = None
        self._reached = False
        self._start = self._shown = self._last = time.perf_counter()
        self.epochs: list[EpochRecord] = []
        self.fault: TrainingFault | None = None

    # --------------------------------------------------------------------------- what a loop calls

    def report(self, epoch: int, loss: float, accuracy: float) -> bool:
        """Tell of an epoch that has ended; return whether the loop has to return now.

        epoch: counted from 0 or from 1. loss: its mean. accuracy: on the test set, 1 for all right.
        """
        return self.add(self._epoch_number(epoch), self._number(loss, "loss"), accuracy)

    def add(self, epoch: int, loss: float | None, accuracy: object) -> bool:
        """Add an epoch, counted from 1, to the curve; return whether the loop has to return now.

        Raises:
            LoopEnded: a figure is none, or the loop went on though it was told to stop, or longer than asked.
            KeyboardInterrupt: there was a Ctrl-C.
        """
        self._interrupts.raise_if_interrupted()
        loss = None if loss is None else self._number(loss, "loss")
        share = self._accuracy(accuracy, "reported")
        if self._reached or self.fault is not None:
            instead = "; with stop_at_accuracy: false it's for lack of time only" if self._reached else ""
            self.end("loop", f"{self._name} goes on after report(...) returned True: it has to return then{instead}")
        if self._num_epochs is not None and epoch > self._num_epochs:
            self.end("loop", f"{self._name} reported epoch {epoch}: it was asked for {self._num_epochs}")
        now = time.perf_counter()
        record = EpochRecord(epoch, loss, None, share, 0.0, now - self._last)
        self._last = now
        self.epochs.append(record)
        self._tell(record)
        self._reached = has_confirmed_minimum(self._recipe, self.epochs)
        return self._reached or self._is_out_of_time()

    def show_step(self, epoch: int, fraction: float, loss: Callable[[], float | None]) -> None:
        """Show how far an epoch is, a few times a second.

        Raises:
            LoopEnded: the time budget is spent.
            KeyboardInterrupt: there was a Ctrl-C.
        """
        self._interrupts.raise_if_interrupted()
        now = time.perf_counter()
        if now - self._shown < PROGRESS_INTERVAL_SEC:
            return
        self._shown = now
        if self._is_out_of_time():
            raise LoopEnded
        if self._callbacks.on_progress is not None:
            accuracy = self.epochs[-1].test_accuracy if self.epochs else None
            left = self._left_sec(epoch - 1 + fraction)
            self._callbacks.on_progress(
                TrainingProgress(epoch, self._num_epochs, fraction, loss(), accuracy, 0.0, left)
            )

    # --------------------------------------------------------------------------- what becomes of the run

    def fail(self, key: str, message: str) -> None:
        """Keep why the run failed; what went wrong first counts."""
        self.fault = self.fault or TrainingFault(message, key)

    def end(self, key: str, message: str) -> NoReturn:
        """Fail, and leave the loop."""
        self.fail(key, message)
        raise LoopEnded

    def record(self, returned: object, device: torch.device) -> TrainingRecord:
        """Return the record of the run, given what the loop returned."""
        accuracy = None
        try:
            if self.fault is None:
                accuracy = self._final_accuracy(returned)
        except LoopEnded:  # it returned nonsense
            pass
        least = self._recipe.accuracy
        is_low = accuracy is not None and least is not None and accuracy < least
        return TrainingRecord(
            epochs=tuple(self.epochs),
            kind=self._recipe.kind,
            seed=self._recipe.seed,
            device=device_name(device),
            precision=None,
            num_threads=torch.get_num_threads(),
            reached=self._reached and not is_low and self.fault is None,
            fault=self.fault,
            returned=accuracy,
        )

    def _final_accuracy(self, returned: object) -> float | None:
        """Return the accuracy that the loop returned, if it did; a run that reported nothing is one epoch."""
        accuracy = None if returned is None else self._accuracy(returned, "returned")
        if not self.epochs:
            if accuracy is None:
                missing = "it neither returned an accuracy nor called report(epoch, loss, accuracy)"
                self.end("loop", f"{self._name}: {missing}")
            self.add(self._num_epochs or 1, None, accuracy)
        if not self._reached:
            self._is_out_of_time()
        return accuracy

    # --------------------------------------------------------------------------- details

    def _tell(self, record: EpochRecord) -> None:
        if self._callbacks.on_progress is not None:
            left = self._left_sec(record.epoch)
            progress = TrainingProgress(
                record.epoch, self._num_epochs, 1.0, record.loss, record.test_accuracy, 0.0, left, record
            )
            self._callbacks.on_progress(progress)
        if self._callbacks.on_epoch is not None:
            self._callbacks.on_epoch(record, self._network)

    def _left_sec(self, epochs_done: float) -> float:
        if self._num_epochs is None:
            return 0.0
        return (time.perf_counter() - self._start) / max(epochs_done, 1e-6) * (self._num_epochs - epochs_done)

    def _is_out_of_time(self) -> bool:
        """Return whether the time budget is spent, which fails the run."""
        budget, spent = self._recipe.time_budget_sec, time.perf_counter() - self._start
        if budget is None or spent <= budget:
            return False
        of = f" of {self._num_epochs}" if self._num_epochs else ""
        epoch = f" after epoch {self.epochs[-1].epoch}{of}" if self.epochs else ""
        accuracy = f", accuracy {self.epochs[-1].test_accuracy:.3f}" if self.epochs else ""
        self.fail("time_budget", f"the time budget of {budget:g} s is spent{epoch}{accuracy}")
        return True

    def _epoch_number(self, epoch: object) -> int:
        """Return an epoch's number, counted from 1."""
        try:
            number = operator.index(epoch)  # type: ignore[arg-type]  # anything may be reported
        except TypeError:
            self.end("loop", f"{self._name} reported {kind_of(epoch)} as epoch: expected a whole number")
        if self._first_epoch is None:
            self._first_epoch = number
        number += self._first_epoch == 0
        last = self.epochs[-1].epoch if self.epochs else 0
        if number <= last:
            shown = f"epoch {epoch}, not after the one before" if self.epochs else f"epoch {epoch} as the first"
            self.end("loop", f"{self._name} reported {shown}: expected epochs counted from 0 or from 1")
        return number

    def _accuracy(self, value: object, doing: str) -> float:
        accuracy = self._number(value, "accuracy", doing)
        if accuracy > 1:
            hint = f": {accuracy:g} % is {accuracy / 100:g}" if accuracy <= 100 else ""
            self.end("loop", f"{self._name} {doing} the accuracy {accuracy:g}, expected a share of 1 at most{hint}")
        return accuracy

    def _number(self, value: object, what: str, doing: str = "reported") -> float:
        value = value.detach() if isinstance(value, Tensor) else value
        try:
            number = float(value) if not isinstance(value, (bool, str)) else None  # type: ignore[arg-type]
        except Exception:  # any object may be told, and its conversion raise anything
            number = None
        if number is None or not math.isfinite(number):
            found = kind_of(value) if number is None else f"{number:g}"
            self.end("loop", f"{self._name} {doing} {found} as {what}: expected a number")
        return number
