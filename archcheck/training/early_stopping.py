"""Early stopping: a run ends once its minimum is reached and confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingRecord


def has_confirmed_minimum(recipe: Recipe, epochs: Sequence[EpochRecord]) -> bool:
    """Whether a run may stop here: two epochs in a row have reached the minimum, as a single one may be luck."""
    least = recipe.accuracy
    if least is None or not recipe.stop_at_accuracy or not 1 < len(epochs) < recipe.epochs:
        return False
    return all(epoch.test_accuracy >= least for epoch in epochs[-2:])


def cut_at_early_stop(record: TrainingRecord, recipe: Recipe) -> TrainingRecord:
    """Cut a run that went to its end where `recipe` would have stopped it early; the epochs before are the same.

    A loop of the user's own that returned an accuracy is judged by that, as nobody knows what it would have returned
    there; and one that went wrong by itself, such as by going on where it was told to stop, did so.
    """
    if record.returned is not None or (record.fault is not None and record.fault.key == "loop"):
        return record
    for length in range(1, len(record.epochs) + 1):
        if has_confirmed_minimum(recipe, record.epochs[:length]):
            return replace(record, epochs=record.epochs[:length], reached=True, fault=None)
    return record
