"""What a training run promised and what it did: recipes and records go in, mismatches come out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from archcheck.findings import Keys, Mismatch
from archcheck.spec.models import Better
from archcheck.text.tables import format_table
from archcheck.text.units import format_gap, format_rate
from archcheck.text.words import counted
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingRecord


def has_confirmed_minimum(recipe: Recipe, epochs: Sequence[EpochRecord]) -> bool:
    """Whether a run may stop here: the minimum reached by two epochs in a row, as one may be luck."""
    least = recipe.accuracy
    if least is None or not recipe.stop_at_accuracy or not 1 < len(epochs) < recipe.epochs:
        return False
    return all(epoch.test_accuracy >= least for epoch in epochs[-2:])


def cut_at_early_stop(record: TrainingRecord, recipe: Recipe) -> TrainingRecord:
    """A run to the end as it would have been by `recipe`, which may stop it early; everything else is the same."""
    for length in range(1, len(record.epochs) + 1):
        if has_confirmed_minimum(recipe, record.epochs[:length]):
            return replace(record, epochs=record.epochs[:length], reached=True, fault=None)
    return record


def check_accuracy(recipe: Recipe, record: TrainingRecord) -> list[Mismatch]:
    """The minimum was reached: by the last epoch, or confirmed before."""
    if record.fault is not None:
        return [_fault(recipe, record)]
    assert recipe.accuracy is not None
    accuracy = record.final_accuracy
    if record.reached or (accuracy is not None and accuracy >= recipe.accuracy):
        return []
    assert accuracy is not None  # a run without a fault has come to the end of its epochs
    metric = "" if record.metric == "accuracy" else f"{record.metric} "
    problem = f"{metric}{accuracy:.3f} after {counted(len(record.epochs), 'epoch')}, "
    problem += f"{format_gap(recipe.accuracy - accuracy)} below the minimum"
    return [
        Mismatch(
            recipe.place("accuracy"),
            "accuracy",
            problem,
            expected=f"at least {recipe.accuracy:g}",
            actual=f"{accuracy:.4g}",
            notes=run_notes(record),
        )
    ]


def _fault(recipe: Recipe, record: TrainingRecord) -> Mismatch:
    assert record.fault is not None
    return Mismatch(recipe.place(record.fault.key), record.fault.key, record.fault.message, notes=run_notes(record))


def run_notes(record: TrainingRecord) -> tuple[tuple[str, str], ...]:
    """How the run was done, how it went, and how to do it again."""
    notes = [("recipe", f"{record.kind}, {record.precision} on {_where(record)}")]
    if record.epochs:
        best = max(record.epochs, key=lambda epoch: epoch.test_accuracy)
        notes.append(("curve", format_curve(record)))
        if best.test_accuracy > record.epochs[-1].test_accuracy:
            notes.append(("note", f"the best epoch was {best.epoch}, with {best.test_accuracy:.3f}"))
    notes.append(("again", f"--archcheck-train {record.kind} --archcheck-seed {record.seed}"))
    return tuple(notes)


def _where(record: TrainingRecord) -> str:
    """The device; with its threads, as their number changes the last digits of a convolution's gradients."""
    threads = f", {counted(record.num_threads, 'thread')}" if record.device == "cpu" else ""
    return f"{record.device}{threads}"


def format_curve(record: TrainingRecord) -> str:
    """A line per epoch: loss, accuracy on both sets, examples per second."""
    rows = [_cells(epoch) for epoch in record.epochs]
    headers = ["epoch", "loss", f"train {record.metric}", f"test {record.metric}", "examples/s"]
    return format_table(rows, headers, ["right"] * len(headers), "plain")


def _cells(epoch: EpochRecord) -> list[str]:
    accuracies = f"{epoch.train_accuracy:.3f}", f"{epoch.test_accuracy:.3f}"
    return [str(epoch.epoch), f"{epoch.loss:.4f}", *accuracies, format_rate(epoch.examples_per_sec)]


# ------------------------------------------------------------------------------------------- claims


_ROUNDING = 1e-9  # of means of accuracies: a margin met exactly is met


def check_better_than(
    keys: Keys, claim: Better, ours: Sequence[TrainingRecord], theirs: Sequence[TrainingRecord]
) -> list[Mismatch]:
    """The mean accuracy over the runs is higher than the other spec's, by the margin claimed.

    keys: where the claim stands.
    """
    for label, records in (("this spec", ours), (claim.spec, theirs)):
        for record in records:
            if record.fault is not None:
                problem = f"training {label} with seed {record.seed}: {record.fault.message}"
                return [Mismatch(keys, "better_than", problem)]
    our, their = [_finals(ours), _finals(theirs)]
    margin = mean(our) - mean(their)
    if margin >= claim.by - _ROUNDING and margin > _ROUNDING:
        return []
    runs = f" over {len(our)} seeds" if len(our) > 1 else ""
    return [
        Mismatch(
            (*keys, "by") if margin > 0 else keys,
            "better_than",
            f"better than {claim.spec} by {margin:+.3f}{runs}, {'not at all' if margin <= 0 else 'not by enough'}",
            expected=f"{mean(their):.3f} of {claim.spec} and at least {claim.by:g} more",
            actual=f"{mean(our):.3f}",
            notes=(("runs", _format_pairs(claim.spec, ours, theirs)),),
        )
    ]


def _finals(records: Sequence[TrainingRecord]) -> list[float]:
    return [record.final_accuracy or 0.0 for record in records]


def _format_pairs(other: str, ours: Sequence[TrainingRecord], theirs: Sequence[TrainingRecord]) -> str:
    rows = [
        [str(mine.seed), f"{mine.final_accuracy or 0:.3f}", f"{its.final_accuracy or 0:.3f}"]
        for mine, its in zip(ours, theirs, strict=True)
    ]
    return format_table(rows, ["seed", "this spec", other], ["right"] * 3, "plain")
