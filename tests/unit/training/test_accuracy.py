"""Recipes and records of runs to mismatches: pure, so that the records here are made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archcheck.spec.models import Better
from archcheck.spec.spec_file import parse_spec
from archcheck.training.accuracy import check_accuracy, check_better_than, format_curve, run_notes
from archcheck.training.recipe import Recipe, resolve_recipe
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord

SPEC = "build: m:f\ninput: [B, 2]\ntraining: {dataset: d, epochs: EPOCHS, accuracy: 0.8}\n"


def recipe(epochs: int = 3, **changes: object) -> Recipe:
    return replace(resolve_recipe(parse_spec(SPEC.replace("EPOCHS", str(epochs))).spec, "full"), **changes)  # type: ignore[arg-type]


def record(
    *accuracies: float, seed: int = 0, fault: TrainingFault | None = None, reached: bool = False
) -> TrainingRecord:
    epochs = [EpochRecord(n, 1 / n, each, each, 1000.0 * n, 2.0) for n, each in enumerate(accuracies, 1)]
    return TrainingRecord(tuple(epochs), "full", seed, "cpu", "fp32", reached=reached, fault=fault)


@pytest.mark.parametrize("accuracies", [(0.8,), (0.1, 0.1, 0.8), (0.9, 0.9, 0.81)])
def test_a_last_epoch_at_the_minimum_or_above_passes(accuracies: tuple[float, ...]) -> None:
    assert check_accuracy(recipe(), record(*accuracies)) == []


def test_a_run_that_stopped_confirmed_passes() -> None:
    assert check_accuracy(recipe(10), record(0.8, 0.8, reached=True)) == []


def test_a_last_epoch_below_it_fails_whatever_came_before() -> None:
    (mismatch,) = check_accuracy(recipe(), record(0.9, 0.9, 0.79))
    assert mismatch.problem == "0.790 after 3 epochs, 0.010 below the minimum"
    assert (mismatch.expected, mismatch.actual) == ("at least 0.8", "0.79")
    assert ("note", "the best epoch was 1, with 0.900") in mismatch.notes


def test_the_last_epoch_as_good_as_any_needs_no_note() -> None:
    assert not any(name == "note" for name, _ in run_notes(record(0.5, 0.4, 0.5)))


def test_no_number_is_no_accuracy() -> None:
    (mismatch,) = check_accuracy(recipe(), record(0.9, float("nan")))
    assert mismatch.problem.startswith("nan after 2 epochs")


def test_a_fault_is_told_at_its_key_with_the_curve_so_far() -> None:
    (mismatch,) = check_accuracy(recipe(), record(0.9, fault=TrainingFault("the loss is nan", "optimizer")))
    assert (mismatch.keys, mismatch.problem) == (("training", "optimizer"), "the loss is nan")
    assert [name for name, _ in mismatch.notes] == ["recipe", "curve", "again"]


def test_the_way_to_do_it_again_is_told() -> None:
    assert run_notes(record(0.5, seed=7))[-1] == ("again", "--archcheck-train full --archcheck-seed 7")


def test_the_curve_is_a_line_for_each_epoch() -> None:
    lines = [line.split() for line in format_curve(record(0.25, 0.5)).splitlines()]
    assert lines[1:] == [["1", "1.0000", "0.250", "0.250", "1_000"], ["2", "0.5000", "0.500", "0.500", "2_000"]]


# ---------------------------------------------------------------------------------------------- claims


def better(ours: list[float], theirs: list[float], by: float = 0.0) -> list[str]:
    claim = Better(spec="other", by=by)
    records = [[record(each, seed=seed) for seed, each in enumerate(side)] for side in (ours, theirs)]
    return [mismatch.problem for mismatch in check_better_than(("claims", "better_than"), claim, *records)]


def test_a_margin_is_one_of_means() -> None:
    assert better([0.5, 0.9], [0.6, 0.6], by=0.05) == []
    assert better([0.5, 0.9], [0.6, 0.6], by=0.2) == ["better than other by +0.100 over 2 seeds, not by enough"]


@pytest.mark.parametrize(("ours", "theirs", "by"), [(0.9, 0.8, 0.1), (0.35, 0.3, 0.05), (0.861, 0.851, 0.01)])
def test_a_margin_met_exactly_is_met(ours: float, theirs: float, by: float) -> None:
    assert better([ours], [theirs], by) == []


def test_as_good_is_not_better() -> None:
    assert better([0.5], [0.5]) == ["better than other by +0.000, not at all"]
    assert better([0.4], [0.5]) == ["better than other by -0.100, not at all"]


def test_a_fault_of_either_is_told() -> None:
    faulty = record(0.5, seed=3, fault=TrainingFault("the loss is nan", "optimizer"))
    claim, keys = Better(spec="other"), ("claims", "better_than")
    (mismatch,) = check_better_than(keys, claim, [faulty], [record(0.5)])
    assert mismatch.problem == "training this spec with seed 3: the loss is nan"
    (mismatch,) = check_better_than(keys, claim, [record(0.5)], [faulty])
    assert mismatch.problem == "training other with seed 3: the loss is nan"
