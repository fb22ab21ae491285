"""A calibration as text: the settings' speeds, the runs, and how the minimum comes about."""

from __future__ import annotations

from statistics import mean, stdev

from archcheck.text.tables import format_table
from archcheck.text.units import format_known
from archcheck.training.calibration import CalibrationRuns, Setting, duration_sec
from archcheck.training.tolerance_bound import CONFIDENCE, COVERAGE, LEAST_STD, one_sided_factor


def format_runs(runs: CalibrationRuns) -> str:
    """Format the settings with their speeds, where these were measured, and a row for each seed."""
    tables = [_format_timings(runs)] if runs.timings else []
    return "\n\n".join([*tables, _format_records(runs)])


def _format_timings(runs: CalibrationRuns) -> str:
    chosen = Setting.of(runs.recipe)
    rows = [
        [
            one.setting.precision,
            one.setting.memory_format,
            "yes" if one.setting.compile else "no",
            "yes" if one.setting.graph else "no",
            "-" if one.ratio is None else f"{one.ratio:.2f}",
            "chosen" if one.setting == chosen else f"failed: {one.failure}" if one.failure else "",
        ]
        for one in runs.timings
    ]
    headers = ("precision", "memory format", "compile", "graph", "speed", "")
    return format_table(rows, headers, ("left", "left", "left", "left", "right", "left"), "simple")


def _format_records(runs: CalibrationRuns) -> str:
    metric = runs.records[0].metric
    headers = ["seed", f"train {metric}", f"test {metric}", "examples/s", "seconds"]
    rows = [
        [
            str(one.seed),
            format_known(one.epochs[-1].train_accuracy, 4),
            f"{one.final_accuracy:.4f}",
            f"{one.examples_per_sec:,.0f}" if one.examples_per_sec else "-",
            f"{duration_sec(one):.1f}",
        ]
        for one in runs.records
    ]
    if runs.fp32_records:
        headers.insert(3, f"test {metric} in fp32")
        for row, one in zip(rows, runs.fp32_records, strict=True):
            row.insert(3, f"{one.final_accuracy:.4f}")
    return format_table(rows, headers, ["right"] * len(headers), "simple")


def format_minimum(runs: CalibrationRuns, minimum: float) -> str:
    """Format how the minimum was computed, and the one before."""
    found = runs.accuracies
    floor = max(LEAST_STD, runs.resolution)
    taken = f" (taken as {floor:.4f})" if stdev(found) < floor else ""
    old = "" if runs.old.accuracy is None else f" (was {runs.old.accuracy:g})"
    return (
        f"mean {mean(found):.4f}, standard deviation {stdev(found):.4f}{taken}, "
        f"factor {one_sided_factor(len(found)):.3f} for {len(found)} seeds\n"
        f"minimum {minimum:.3f}{old}: {COVERAGE:.0%} of sound runs reach it, with {CONFIDENCE:.0%} confidence"
    )
