"""Epochs of training until the end, the confirmed minimum, the end of the budget, or a finding."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.data.batches import Batches
from archcheck.errors import DataError
from archcheck.training.accuracy import has_confirmed_minimum
from archcheck.training.batch_validation import BatchValidator
from archcheck.training.components import LearningRateSchedule, build_schedule
from archcheck.training.devices import device_name, synchronize
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.interrupt_recorder import InterruptRecorder
from archcheck.training.metrics import ignored_label, make_metric
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingRecord
from archcheck.training.step import TrainingStep

EXPLODED = 1_000  # times the first loss: no run comes back from there
PROGRESS_INTERVAL_SEC = 0.2
# Reading the loss waits for the device: on the CPU that costs nothing, on a GPU it would cost a step's overlap.
STEPS_BETWEEN_LOOKS = {"cpu": 1}
STEPS_BETWEEN_LOOKS_ELSEWHERE = 20


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run is: what a line on a terminal is made of. `accuracy` is the last epoch's on the test set."""

    epoch: int
    num_epochs: int
    fraction: float
    loss: float
    accuracy: float | None
    examples_per_sec: float
    left_sec: float
    finished: EpochRecord | None = None


@dataclass(frozen=True, slots=True)
class TrainingCallbacks:
    """Who is told of a run: of its progress a few times a second and after each epoch; of the network after each."""

    on_progress: Callable[[TrainingProgress], None] | None = None
    on_epoch: Callable[[EpochRecord, nn.Module], None] | None = None


def train(
    network: nn.Module,
    train_set: Batches,
    test_set: Batches,
    recipe: Recipe,
    *,
    num_classes: int | None = None,
    rootdir: Path | None = None,
    watchers: TrainingCallbacks = TrainingCallbacks(),
) -> TrainingRecord:
    """Train a network by a recipe and evaluate it after every epoch; findings end up in the record's `fault`.

    The caller seeds the random generators and restores the global state.
    """
    run = _Run(network, train_set, test_set, recipe, BatchValidator(recipe, num_classes), rootdir, watchers)
    fault = None
    try:
        with torch.enable_grad(), run.interrupts:
            run.start()
            run.go()
    except RunFailed as failed:
        fault = failed.fault
    except DataError as error:
        fault = RunFailed(str(error), "dataset").fault
    return TrainingRecord(
        epochs=tuple(run.epochs),
        kind=recipe.kind,
        seed=recipe.seed,
        device=device_name(train_set.device),
        precision=recipe.precision,
        num_threads=torch.get_num_threads(),
        metric=make_metric(recipe.loss).name,
        reached=run.reached,
        fault=fault,
    )


def build_training_step(
    network: nn.Module,
    train_set: Batches,
    test_set: Batches,
    recipe: Recipe,
    contract: BatchValidator,
    rootdir: Path | None = None,
) -> TrainingStep:
    """What a step of training takes, once it's clear that data, network and recipe go together.

    Raises:
        RunFailed: they don't, or a part of the recipe can't be built.
        DataError: the test set can't be read.
    """
    with closing(fetch_epoch(test_set, 0, rootdir)) as batches:
        inputs, targets = next(batches)
    contract.check_inputs(inputs)
    step = TrainingStep(network, recipe, train_set.device, inputs, rootdir)
    network.eval()
    with torch.no_grad():
        contract.check_outputs(step.predict(inputs), targets)
    for split in (train_set, test_set):
        labels = split.label_range(ignored_label(recipe.loss))
        if labels is not None:
            contract.check_range(*labels)
    return step


def fetch_epoch(batches: Batches, epoch: int, rootdir: Path | None) -> Generator[tuple[Any, Tensor], None, None]:
    """The batches of an epoch. Raises DataError as they do; RunFailed where memory runs out on the way."""
    with closing(batches.epoch(epoch)) as iterator:
        while (batch := _next(iterator, rootdir)) is not None:
            yield batch


def _next(iterator: Iterator[tuple[Any, Tensor]], rootdir: Path | None) -> tuple[Any, Tensor] | None:
    try:
        with errors_attributed_to("dataset", "the data set", rootdir):
            return next(iterator, None)
    except RunFailed as failed:
        if isinstance(failed.__cause__, DataError):
            raise failed.__cause__ from None
        raise


@dataclass(slots=True)
class _Run:
    """The state of a run between its epochs."""

    network: nn.Module
    train_set: Batches
    test_set: Batches
    recipe: Recipe
    _contract: BatchValidator
    rootdir: Path | None
    watchers: TrainingCallbacks
    epochs: list[EpochRecord] = field(default_factory=list)
    reached: bool = False
    interrupts: InterruptRecorder = field(default_factory=InterruptRecorder)
    _step: TrainingStep = field(init=False)
    _schedule: LearningRateSchedule = field(init=False)
    _watch: _LossWatch = field(init=False)
    _clock: _Clock = field(init=False)
    _shown_sec: float = 0.0

    def start(self) -> None:
        """Build what a step takes, and check that data and network go together."""
        self._step = build_training_step(
            self.network, self.train_set, self.test_set, self.recipe, self._contract, self.rootdir
        )
        with errors_attributed_to("scheduler", self._scheduler_name, self.rootdir):
            self._schedule = build_schedule(self.recipe, self._step.optimizer, len(self.train_set))
        self._watch = _LossWatch(self.train_set.device)
        self._clock = _Clock(self.train_set.device, self.train_set.batch_size)

    def go(self) -> None:
        """Train epoch by epoch."""
        for epoch in range(1, self.recipe.epochs + 1):
            record, test_loss = self._epoch(epoch)
            self.epochs.append(record)
            self._tell(record)
            if self.watchers.on_epoch is not None:
                self.watchers.on_epoch(record, self.network)
            if has_confirmed_minimum(self.recipe, self.epochs):
                self.reached = True
                return
            if epoch < self.recipe.epochs:
                self._check_budget(epoch)
            with errors_attributed_to("scheduler", f"{self._scheduler_name}.step()", self.rootdir):
                self._schedule.after_epoch(test_loss)

    @property
    def _scheduler_name(self) -> str:
        return self.recipe.scheduler.name if self.recipe.scheduler is not None else ""

    # ----------------------------------------------------------------------------------------- one epoch

    def _epoch(self, epoch: int) -> tuple[EpochRecord, float]:
        metric, loss_sum = make_metric(self.recipe.loss), _zero(self.train_set.device)
        self.network.train()
        self._clock.start_epoch()
        for number, (inputs, targets) in enumerate(fetch_epoch(self.train_set, epoch, self.rootdir), 1):
            if not self.train_set.resident:
                self._contract.check_labels(targets)
            loss, outputs = self._step(inputs, targets)
            loss_sum += loss
            metric.update(outputs, targets)
            self._watch.look(loss, epoch, number)
            with errors_attributed_to("scheduler", f"{self._scheduler_name}.step()", self.rootdir):
                self._schedule.after_batch()
            self._clock.tick()
            self.interrupts.check()
            self._look_around(epoch, number, loss)
        rate, spent = self._clock.stop_epoch()
        self._watch.look(loss_sum, epoch, len(self.train_set), now=True)
        mean_loss = float(loss_sum) / len(self.train_set)
        test_loss, test_accuracy = self._evaluate()
        first = self._clock.first_step_sec if epoch == 1 else 0.0
        return EpochRecord(epoch, mean_loss, metric.value(), test_accuracy, rate, spent, first), test_loss

    def _evaluate(self) -> tuple[float, float]:
        """Mean loss and accuracy on the test set."""
        metric, loss_sum = make_metric(self.recipe.loss), _zero(self.train_set.device)
        self.network.eval()
        with torch.no_grad():
            for inputs, targets in fetch_epoch(self.test_set, 0, self.rootdir):
                if not self.test_set.resident:
                    self._contract.check_labels(targets)
                self.interrupts.check()
                outputs = self._step.predict(inputs)
                loss_sum += self._step.compute_loss(outputs, targets) * len(targets)
                metric.update(outputs, targets)
        loss = float(loss_sum) / self.test_set.num_examples
        if not math.isfinite(loss):
            raise RunFailed(f"the loss on the test set is {loss}: in eval mode the network gives no numbers", "build")
        return loss, metric.value()

    # ----------------------------------------------------------------------------------------- time

    def _check_budget(self, epoch: int) -> None:
        budget = self.recipe.time_budget_sec
        if budget is not None and self._clock.run_sec > budget:
            reached = f", accuracy {self.epochs[-1].test_accuracy:.3f}" if self.epochs else ""
            problem = f"the time budget of {budget:g} s is spent in epoch {epoch} of {self.recipe.epochs}{reached}"
            raise RunFailed(problem, "time_budget")

    # ----------------------------------------------------------------------------------------- telling

    def _look_around(self, epoch: int, number: int, loss: Tensor) -> None:
        """A few times a second, see whether there is time left, and tell who wants to know."""
        now = self._clock.run_sec
        if now - self._shown_sec < PROGRESS_INTERVAL_SEC:
            return
        self._shown_sec = now
        self._check_budget(epoch)
        if self.watchers.on_progress is not None:
            fraction = number / len(self.train_set)
            accuracy = self.epochs[-1].test_accuracy if self.epochs else None
            left = self._left_sec(epoch - 1 + fraction)
            rate = self._clock.rate()
            self.watchers.on_progress(
                TrainingProgress(epoch, self.recipe.epochs, fraction, float(loss), accuracy, rate, left)
            )

    def _tell(self, record: EpochRecord) -> None:
        if self.watchers.on_progress is not None:
            left = self._left_sec(record.epoch)
            progress = TrainingProgress(
                record.epoch, self.recipe.epochs, 1.0, record.loss, record.test_accuracy, record.examples_per_sec,
                left, record,
            )  # fmt: skip
            self.watchers.on_progress(progress)

    def _left_sec(self, epochs_done: float) -> float:
        return self._clock.run_sec / max(epochs_done, 1e-6) * (self.recipe.epochs - epochs_done)


class _Clock:
    """The rate of a run's training steps by wall clock, without its first: that one compiles and allocates."""

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self._device = device
        self._batch_size = batch_size
        self._steps = 0
        self._start = time.perf_counter()
        self._began: float | None = None
        self.first_step_sec = 0.0

    @property
    def run_sec(self) -> float:
        """Seconds since the run's first step was over; 0 before."""
        return time.perf_counter() - self._began if self._began is not None else 0.0

    def start_epoch(self) -> None:
        """Count anew."""
        self._steps, self._start = 0, time.perf_counter()

    def tick(self) -> None:
        """A step was asked for; the first of the run is waited for."""
        self._steps += 1
        if self._began is None:
            synchronize(self._device)
            self._began = time.perf_counter()
            self.first_step_sec = self._began - self._start
            self._steps, self._start = 0, self._began

    def rate(self) -> float:
        """Examples per second of this epoch so far."""
        return self._steps * self._batch_size / max(time.perf_counter() - self._start, 1e-9)

    def stop_epoch(self) -> tuple[float, float]:
        """The epoch's rate in examples per second, 0 where there was but the first step; and its seconds."""
        synchronize(self._device)
        return self.rate(), time.perf_counter() - self._start


class _LossWatch:
    """Stops a run whose loss is no number any more, or has exploded."""

    def __init__(self, device: torch.device) -> None:
        self._interval = STEPS_BETWEEN_LOOKS.get(device.type, STEPS_BETWEEN_LOOKS_ELSEWHERE)
        self._first: float | None = None

    def look(self, loss: Tensor, epoch: int, number: int, *, now: bool = False) -> None:
        """Look at a step's loss, or (`now`) at an epoch's sum, which isn't finite where one of them wasn't."""
        if not now and self._first is not None and number % self._interval:
            return
        value = float(loss)
        if not math.isfinite(value):
            raise RunFailed(f"the loss is {value} in epoch {epoch}, step {number}{_ADVICE}", "optimizer")
        if now:
            return
        if self._first is None:
            self._first = abs(value)
        if abs(value) > EXPLODED * max(self._first, 1.0):
            problem = f"the loss has exploded, from {self._first:.3g} to {value:.3g} in epoch {epoch}, step {number}"
            raise RunFailed(f"{problem}{_ADVICE}", "optimizer")


_ADVICE = ": a smaller learning rate, clip_grad_norm or another init may keep it in bounds"


def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), device=device)
