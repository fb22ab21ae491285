"""Training runs compared with their minimum and with claims: recipes and records in, mismatches out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from archcheck.findings import Keys, Mismatch
from archcheck.spec.models import Better
from archcheck.text.tables import format_table
from archcheck.text.units import format_gap, format_known, format_rate
from archcheck.text.words import counted
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingRecord


def check_accuracy(recipe: Recipe, record: TrainingRecord) -> list[Mismatch]:
    """Check that the minimum was reached: by the last epoch, or confirmed by two in a row before."""
    if record.fault is not None:
        fault = record.fault
        return [Mismatch(recipe.place(fault.key), fault.key, fault.message, notes=run_notes(record))]
    assert recipe.accuracy is not None
    accuracy = record.final_accuracy
    if record.reached or (accuracy is not None and accuracy >= recipe.accuracy):
        return []
    assert accuracy is not None  # a run without a fault has come to the end of its epochs
    metric = "" if record.metric == "accuracy" else f"{record.metric} "
    after = f"after {counted(record.epochs[-1].epoch, 'epoch')}" if record.returned is None else "returned by the loop"
    problem = f"{metric}{accuracy:.3f} {after}, "
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


def run_notes(record: TrainingRecord) -> tuple[tuple[str, str], ...]:
    """Return the notes under a mismatch: how the run was done, its curve, and how to do it again."""
    how = f"{record.kind}, {record.precision}" if record.precision else record.kind
    notes = [("recipe", f"{how} on {_where(record)}")]
    if record.epochs:
        best = max(record.epochs, key=lambda epoch: epoch.test_accuracy)
        notes.append(("curve", format_curve(record)))
        if best.test_accuracy > record.epochs[-1].test_accuracy:
            notes.append(("note", f"the best epoch was {best.epoch}, with {best.test_accuracy:.3f}"))
    notes.append(("again", f"--archcheck-train {record.kind} --archcheck-seed {record.seed}"))
    return tuple(notes)


def _where(record: TrainingRecord) -> str:
    """Return the device, on the CPU with its threads: their number changes the last digits of gradients."""
    threads = f", {counted(record.num_threads, 'thread')}" if record.device == "cpu" else ""
    return f"{record.device}{threads}"


def format_curve(record: TrainingRecord) -> str:
    """Format a line per epoch: loss, accuracy on both sets, examples per second."""
    rows = [_cells(epoch) for epoch in record.epochs]
    headers = ["epoch", "loss", f"train {record.metric}", f"test {record.metric}", "examples/s"]
    return format_table(rows, headers, ["right"] * len(headers), "plain")


def _cells(epoch: EpochRecord) -> list[str]:
    loss, train = format_known(epoch.loss, 4), format_known(epoch.train_accuracy, 3)
    return [str(epoch.epoch), loss, train, f"{epoch.test_accuracy:.3f}", format_rate(epoch.examples_per_sec)]


# ------------------------------------------------------------------------------------------- claims


_ROUNDING = 1e-9  # error of a mean of accuracies: a margin met exactly counts as met


def check_better_than(
    keys: Keys, claim: Better, ours: Sequence[TrainingRecord], theirs: Sequence[TrainingRecord]
) -> list[Mismatch]:
    """Check that the mean accuracy of our runs is higher than that of the other spec's, by the margin claimed.

    keys: the claim's place in the spec.
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
