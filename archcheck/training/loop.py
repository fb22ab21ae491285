"""Training epoch by epoch, until the last one, the confirmed minimum, the end of the time budget, or a failure."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.data.batches import Batches
from archcheck.errors import DataError
from archcheck.network.devices import device_name
from archcheck.structure.meta.module_tree import set_training
from archcheck.structure.work import threads_fitted_from_here
from archcheck.training.batch_validation import BatchValidator
from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.early_stopping import has_confirmed_minimum
from archcheck.training.failures import RunFailed, errors_attributed_to
from archcheck.training.interrupt_recorder import InterruptRecorder
from archcheck.training.loss_monitor import LossMonitor, check_batch
from archcheck.training.metrics import ConstantAnswer, ignored_label, make_metric
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingRecord
from archcheck.training.schedules import LearningRateSchedule, build_schedule
from archcheck.training.step import TrainingStep
from archcheck.training.step_rate import StepRateTimer

PROGRESS_INTERVAL_SEC = 0.2


def train(
    network: nn.Module,
    train_set: Batches,
    test_set: Batches,
    recipe: Recipe,
    *,
    num_classes: int | None = None,
    rootdir: Path | None = None,
    callbacks: TrainingCallbacks | None = None,
) -> TrainingRecord:
    """Train a network by a recipe and evaluate it after every epoch; the record's `fault` says what ended it early.

    The caller seeds the random generators and restores torch's global state.
    """
    validator = BatchValidator(recipe, num_classes)
    callbacks = callbacks or TrainingCallbacks()
    run = _TrainingRun(network, train_set, test_set, recipe, validator, rootdir, callbacks)
    fault = None
    try:
        with torch.enable_grad(), run.interrupts:
            run.prepare()
            run.train_epochs()
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
        graph_problem=run.graph_problem,
        constant_accuracy=run.constant_accuracy,
    )


def build_training_step(
    network: nn.Module,
    train_set: Batches,
    test_set: Batches,
    recipe: Recipe,
    validator: BatchValidator,
    rootdir: Path | None = None,
    *,
    needs_graph: bool = False,
) -> TrainingStep:
    """Check on the first test batch that data, network and recipe go together, and build the training step.

    From then on torch computes with as many threads as that batch is worth; the caller restores its settings.

    needs_graph: that of `TrainingStep`.

    Raises:
        RunFailed: they don't go together, or a part of the recipe can't be built.
        DataError: the test set can't be read.
    """
    with closing(fetch_epoch(test_set, 0, rootdir)) as batches:
        inputs, targets = next(batches)
    validator.check_inputs(inputs)
    step = TrainingStep(network, recipe, train_set.device, inputs, rootdir, needs_graph=needs_graph)
    set_training(network, False)
    with torch.no_grad(), threads_fitted_from_here(train_set.device):
        outputs = step.predict(inputs)
    validator.check_outputs(outputs, targets)
    for split in (train_set, test_set):
        labels = split.label_range(ignored_label(recipe.loss))
        if labels is not None:
            validator.check_label_range(*labels)
    return step


def fetch_epoch(
    batches: Batches, epoch: int, rootdir: Path | None, check_targets: Callable[[Tensor], None] | None = None
) -> Generator[tuple[Any, Tensor], None, None]:
    """Yield the batches of an epoch; `check_targets` is that of `Batches.epoch`.

    Raises:
        DataError: as `Batches.epoch` raises it.
        RunFailed: fetching a batch raised anything else, such as running out of memory.
    """
    with closing(batches.epoch(epoch, check_targets)) as iterator:
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
class _TrainingRun:
    """A training run: what it trains and by what, and how far it has come."""

    network: nn.Module
    train_set: Batches
    test_set: Batches
    recipe: Recipe
    _validator: BatchValidator
    rootdir: Path | None
    callbacks: TrainingCallbacks
    epochs: list[EpochRecord] = field(default_factory=list)
    reached: bool = False
    constant_accuracy: float | None = None
    interrupts: InterruptRecorder = field(default_factory=InterruptRecorder)
    _step: TrainingStep = field(init=False)
    _schedule: LearningRateSchedule = field(init=False)
    _loss_monitor: LossMonitor = field(init=False)
    _timer: StepRateTimer = field(init=False)
    _reported_sec: float = 0.0

    def prepare(self) -> None:
        """Build step and schedule, and check that data and network go together."""
        self._step = build_training_step(
            self.network, self.train_set, self.test_set, self.recipe, self._validator, self.rootdir
        )
        with errors_attributed_to("scheduler", self._scheduler_name, self.rootdir):
            self._schedule = build_schedule(self.recipe, self._step.optimizer, len(self.train_set))
        self._loss_monitor = LossMonitor(self.train_set.device)
        self._timer = StepRateTimer(self.train_set.device, self.train_set.batch_size)

    def train_epochs(self) -> None:
        """Train and evaluate epoch by epoch, until the last one or the confirmed minimum.

        Raises:
            RunFailed: the run can't go on, or its time budget is spent.
        """
        for epoch in range(1, self.recipe.epochs + 1):
            record, test_loss = self._train_epoch(epoch)
            self.epochs.append(record)
            self._report_epoch(record)
            if self.callbacks.on_epoch is not None:
                self.callbacks.on_epoch(record, self.network)
            if has_confirmed_minimum(self.recipe, self.epochs):
                self.reached = True
                return
            if epoch < self.recipe.epochs:
                self._check_budget(epoch)
            with errors_attributed_to("scheduler", f"{self._scheduler_name}.step()", self.rootdir):
                self._schedule.after_epoch(test_loss)

    @property
    def graph_problem(self) -> str | None:
        """Why the recipe's `graph` had no effect, as far as is known."""
        return self._step.graph_problem if hasattr(self, "_step") else None

    @property
    def _scheduler_name(self) -> str:
        return self.recipe.scheduler.name if self.recipe.scheduler is not None else ""

    def _train_epoch(self, epoch: int) -> tuple[EpochRecord, float]:
        metric, loss_sum = make_metric(self.recipe.loss), _zero(self.train_set.device)
        set_training(self.network, True)
        self._timer.start_epoch()
        batches = fetch_epoch(self.train_set, epoch, self.rootdir, self._validator.check_labels)
        for number, (inputs, targets) in enumerate(batches, 1):
            loss, outputs = self._step(inputs, targets)
            loss_sum += loss
            metric.update(outputs, targets)
            self._loss_monitor.check_step(loss, epoch, number, (inputs, targets))
            with errors_attributed_to("scheduler", f"{self._scheduler_name}.step()", self.rootdir):
                self._schedule.after_batch()
            self._timer.count_step()
            self.interrupts.raise_if_interrupted()
            self._check_budget_and_report(epoch, number)
        examples_per_sec, duration_sec = self._timer.stop_epoch()
        self._loss_monitor.check_epoch(loss_sum, epoch, len(self.train_set))
        mean_loss = float(loss_sum) / len(self.train_set)
        test_loss, test_accuracy = self._evaluate()
        record = EpochRecord(
            epoch=epoch,
            loss=mean_loss,
            train_accuracy=metric.value(),
            test_accuracy=test_accuracy,
            examples_per_sec=examples_per_sec,
            duration_sec=duration_sec,
            first_step_sec=self._timer.first_step_sec if epoch == 1 else 0.0,
        )
        return record, test_loss

    def _evaluate(self) -> tuple[float, float]:
        """Return mean loss and accuracy on the test set."""
        metric, loss_sum = make_metric(self.recipe.loss), _zero(self.train_set.device)
        constant = ConstantAnswer(self.recipe.loss)
        set_training(self.network, False)
        with torch.no_grad():
            for inputs, targets in fetch_epoch(self.test_set, 0, self.rootdir, self._validator.check_labels):
                self.interrupts.raise_if_interrupted()
                outputs = self._step.predict(inputs)
                loss_sum += self._step.compute_loss(outputs, targets) * len(targets)
                metric.update(outputs, targets)
                constant.update(outputs, targets)
        self.constant_accuracy = constant.value()
        loss = float(loss_sum) / self.test_set.num_examples
        if not math.isfinite(loss):
            for batch in fetch_epoch(self.test_set, 0, self.rootdir):
                check_batch(batch, "in the test set")
            raise RunFailed(f"the loss on the test set is {loss}: in eval mode the network gives no numbers", "build")
        return loss, metric.value()

    def _check_budget(self, epoch: int) -> None:
        budget = self.recipe.time_budget_sec
        if budget is not None and self._timer.run_sec > budget:
            reached = f", accuracy {self.epochs[-1].test_accuracy:.3f}" if self.epochs else ""
            problem = f"the time budget of {budget:g} s is spent in epoch {epoch} of {self.recipe.epochs}{reached}"
            raise RunFailed(problem, "time_budget")

    def _check_budget_and_report(self, epoch: int, step: int) -> None:
        """Check the time budget and report the progress, a few times a second."""
        now = self._timer.run_sec
        if now - self._reported_sec < PROGRESS_INTERVAL_SEC:
            return
        self._reported_sec = now
        self._check_budget(epoch)
        if self.callbacks.on_progress is not None:
            fraction = step / len(self.train_set)
            accuracy = self.epochs[-1].test_accuracy if self.epochs else None
            left = self._left_sec(epoch - 1 + fraction)
            rate = self._timer.examples_per_sec()
            self.callbacks.on_progress(
                TrainingProgress(epoch, self.recipe.epochs, fraction, self._loss_monitor.last, accuracy, rate, left)
            )

    def _report_epoch(self, record: EpochRecord) -> None:
        if self.callbacks.on_progress is not None:
            left = self._left_sec(record.epoch)
            progress = TrainingProgress(
                record.epoch, self.recipe.epochs, 1.0, record.loss, record.test_accuracy, record.examples_per_sec,
                left, record,
            )  # fmt: skip
            self.callbacks.on_progress(progress)

    def _left_sec(self, epochs_done: float) -> float:
        return self._timer.run_sec / max(epochs_done, 1e-6) * (self.recipe.epochs - epochs_done)


def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), device=device)
