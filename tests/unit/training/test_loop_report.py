"""What a loop of the user's own reports: the curve, when it has to stop, and what is nonsense."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.interrupt_recorder import InterruptRecorder
from archcheck.training.loop_report import LoopEnded, LoopReport
from archcheck.training.records import TrainingRecord
from tests.unit.training.conftest import make_recipe


class Run:
    """A report, and what it told of its progress."""

    def __init__(self, training: str = "", epochs: int | None = 5) -> None:
        self.shown: list[TrainingProgress] = []
        callbacks = TrainingCallbacks(on_progress=self.shown.append)
        recipe = make_recipe(f"loop: m:fit\n{training}")
        self.report = LoopReport("m:fit", recipe, nn.Linear(1, 1), callbacks, epochs, InterruptRecorder())

    def tell(self, *accuracies: float, first: int = 1) -> list[bool]:
        return [self.report.report(number, 0.5, one) for number, one in enumerate(accuracies, first)]

    def record(self, returned: object = None) -> TrainingRecord:
        return self.report.record(returned, torch.device("cpu"))

    def fault(self, returned: object = None) -> tuple[str, str]:
        fault = self.record(returned).fault
        assert fault is not None
        return fault.key, fault.message


@pytest.mark.parametrize("first", [0, 1])
def test_the_curve_is_kept_and_shown_with_epochs_counted_from_1(first: int) -> None:
    run = Run()
    run.tell(0.25, 0.5, first=first)
    record = run.record()
    assert [(one.epoch, one.loss, one.test_accuracy) for one in record.epochs] == [(1, 0.5, 0.25), (2, 0.5, 0.5)]
    assert [(one.epoch, one.num_epochs, one.accuracy) for one in run.shown] == [(1, 5, 0.25), (2, 5, 0.5)]
    assert record.final_accuracy == 0.5
    assert record.fault is None


def test_an_evaluation_now_and_then_is_enough() -> None:
    run = Run(epochs=10)
    run.report.report(4, 0.5, 0.25)
    run.report.report(9, 0.5, 0.5)
    assert [one.epoch for one in run.record().epochs] == [4, 9]


def test_tensors_are_numbers() -> None:
    run = Run()
    run.report.report(1, torch.tensor(0.5, requires_grad=True), torch.tensor([0.25]))  # type: ignore[arg-type]
    assert run.record(torch.tensor(0.75)).final_accuracy == 0.75


@pytest.mark.parametrize(
    ("training", "accuracies", "stops"),
    [
        ("accuracy: 0.8", [0.9, 0.5, 0.9, 0.8], [False, False, False, True]),  # two in a row
        ("accuracy: 0.8\nstop_at_accuracy: false", [0.9, 0.9, 0.9], [False, False, False]),
        ("", [0.9, 0.9], [False, False]),
        ("time_budget: 1e-9", [0.9], [True]),
    ],
)
def test_when_a_loop_is_told_to_stop(training: str, accuracies: list[float], stops: list[bool]) -> None:
    assert Run(training).tell(*accuracies) == stops


def test_a_loop_that_counts_no_epochs_is_stopped_as_well() -> None:
    assert Run("accuracy: 0.8\nepochs: 2", epochs=None).tell(0.1, 0.1, 0.9, 0.9) == [False, False, False, True]


def test_a_run_that_stopped_at_its_minimum_has_reached_it() -> None:
    run = Run("accuracy: 0.8")
    run.tell(0.9, 0.9)
    assert run.record().reached
    assert run.record(0.85).reached
    assert not run.record(0.75).reached  # what it returns counts
    assert run.record(0.75).final_accuracy == 0.75


def test_what_is_returned_without_a_report_is_the_run() -> None:
    (epoch,) = (record := Run().record(0.5)).epochs
    assert (epoch.epoch, epoch.loss, epoch.test_accuracy) == (5, None, 0.5)
    assert record.final_accuracy == 0.5


def test_a_spent_budget_fails_at_the_budget() -> None:
    run = Run("time_budget: 1e-9")
    run.tell(0.9)
    assert run.fault() == ("time_budget", "the time budget of 1e-09 s is spent after epoch 1 of 5, accuracy 0.900")
    assert Run("time_budget: 1e-9").fault(0.9)[0] == "time_budget"


def test_a_budget_counts_until_the_loop_returns() -> None:
    run = Run("time_budget: 0.05 s")
    run.tell(0.9)
    time.sleep(0.06)
    assert run.fault()[0] == "time_budget"


def test_a_budget_counts_within_an_epoch_where_the_loop_tells_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("time_budget: 1e-9")
    monkeypatch.setattr("archcheck.training.loop_report.PROGRESS_INTERVAL_SEC", 0.0)
    with pytest.raises(LoopEnded):
        run.report.show_step(1, 0.5, lambda: 0.25)
    assert run.fault() == ("time_budget", "the time budget of 1e-09 s is spent")


NUMBER = "expected a number"
SHARE = "expected a share of 1 at most"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0.5, 93), f"m:fit reported the accuracy 93, {SHARE}: 93 % is 0.93"),
        ((1, 0.5, 1234.5), f"m:fit reported the accuracy 1234.5, {SHARE}"),
        ((1, 0.5, math.nan), f"m:fit reported nan as accuracy: {NUMBER}"),
        ((1, math.nan, 0.5), f"m:fit reported nan as loss: {NUMBER}"),
        ((1, math.inf, 0.5), f"m:fit reported inf as loss: {NUMBER}"),
        ((1, None, 0.5), f"m:fit reported None as loss: {NUMBER}"),
        ((1, 0.5, "0.9"), f"m:fit reported a str as accuracy: {NUMBER}"),
        ((1, 0.5, True), f"m:fit reported a bool as accuracy: {NUMBER}"),
        ((1, torch.ones(2), 0.5), f"m:fit reported a Tensor as loss: {NUMBER}"),
        ((1.5, 0.5, 0.5), "m:fit reported a float as epoch: expected a whole number"),
        ((-1, 0.5, 0.5), "m:fit reported epoch -1 as the first: expected epochs counted from 0 or from 1"),
        ((6, 0.5, 0.5), "m:fit reported epoch 6: it was asked for 5"),
    ],
)
def test_nonsense_ends_the_run_past_whatever_the_loop_catches(arguments: Any, message: str) -> None:
    run = Run()
    with pytest.raises(LoopEnded):
        run.report.report(*arguments)
    assert run.fault() == ("loop", message)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "m:fit: it neither returned an accuracy nor called report(epoch, loss, accuracy)"),
        (93.0, f"m:fit returned the accuracy 93, {SHARE}: 93 % is 0.93"),
        ({"accuracy": 0.9}, f"m:fit returned a dict as accuracy: {NUMBER}"),
        (math.nan, f"m:fit returned nan as accuracy: {NUMBER}"),
        (True, f"m:fit returned a bool as accuracy: {NUMBER}"),
    ],
)
def test_nonsense_returned_fails(returned: object, message: str) -> None:
    assert Run().fault(returned) == ("loop", message)


def test_epochs_go_on() -> None:
    run = Run()
    run.tell(0.5)
    with pytest.raises(LoopEnded):
        run.tell(0.5)
    assert run.fault()[1] == (
        "m:fit reported epoch 1, not after the one before: expected epochs counted from 0 or from 1"
    )


def test_a_loop_that_ignores_the_stop_fails() -> None:
    run = Run("accuracy: 0.8")
    run.tell(0.9, 0.9)
    with pytest.raises(LoopEnded):
        run.report.report(3, 0.5, 0.9)
    told = "m:fit goes on after report(...) returned True: it has to return then"
    assert run.fault() == ("loop", f"{told}; with stop_at_accuracy: false it's for lack of time only")
    assert not run.record().reached
