"""Early stopping."""

from __future__ import annotations

import pytest

from archcheck.training.early_stopping import cut_at_early_stop, has_confirmed_minimum
from archcheck.training.records import TrainingFault
from tests.unit.training.test_accuracy import recipe, record


@pytest.mark.parametrize(
    ("accuracies", "confirmed"),
    [((0.8,), False), ((0.8, 0.8), True), ((0.8, 0.7), False), ((0.8, 0.7, 0.8), False), ((0.7, 0.8, 0.9), True)],
)
def test_two_epochs_in_a_row_confirm(accuracies: tuple[float, ...], confirmed: bool) -> None:
    assert has_confirmed_minimum(recipe(10), record(*accuracies).epochs) is confirmed


def test_nothing_is_confirmed_where_nothing_may_stop_or_at_the_very_end() -> None:
    epochs = record(0.9, 0.9).epochs
    assert not has_confirmed_minimum(recipe(10, stop_at_accuracy=False), epochs)
    assert not has_confirmed_minimum(recipe(10, accuracy=None), epochs)
    assert not has_confirmed_minimum(recipe(2), epochs)


def test_a_run_to_the_end_is_cut_where_it_would_have_stopped() -> None:
    whole = record(0.7, 0.8, 0.8, 0.1)
    stopped = cut_at_early_stop(whole, recipe(4))
    assert stopped.reached
    assert stopped.epochs == whole.epochs[:3]
    assert cut_at_early_stop(whole, recipe(4, stop_at_accuracy=False)) == whole
    assert cut_at_early_stop(record(0.7, 0.7), recipe(2)) == record(0.7, 0.7)


def test_a_fault_after_the_confirmed_minimum_would_never_have_come() -> None:
    assert cut_at_early_stop(record(0.8, 0.8, 0.1, fault=TrainingFault("no", "build")), recipe(9)).fault is None
    assert cut_at_early_stop(record(0.8, 0.8, fault=TrainingFault("no", "build")), recipe(9)).reached
