"""The speed of a network over time: saved runs as text."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import Any

from archcheck.text.tables import format_table
from archcheck.text.units import format_rate
from archcheck.text.words import key_text
from archcheck.throughput.regression.saved_runs import SavedRun, format_condition

BAR_WIDTH = 30
HEADERS = (
    "date", "commit", "device", "torch", "precision", "batch", "examples/s", "against reference", "verdict", "speed",
)  # fmt: skip
# How the title of a table calls the conditions that come first in it.
CONDITION_LABELS = {
    "device": "",
    "cpu": "",
    "threads": "",
    "torch": "torch",
    "precision": "",
    "mode": "",
    "batch_size": "batch",
}
ALIGNMENT = ("left", "left", "left", "left", "left", "right", "right", "right", "left", "left")


def format_history(runs: Sequence[SavedRun]) -> str:
    """Format a table for each set of conditions, as only runs of equal ones are comparable; the latest run's is last.

    runs: oldest first.
    """
    groups: dict[Hashable, list[SavedRun]] = {}
    for run in runs:
        key = tuple(sorted(run.conditions.items(), key=lambda pair: pair[0]))
        groups[key] = [*groups.pop(key, []), run]  # put back at the end: groups are ordered by their latest runs
    return "\n\n".join(_format_group(group) for group in groups.values())


def _format_group(group: Sequence[SavedRun]) -> str:
    fastest = max(run.examples_per_sec for run in group)
    rows = [
        [*_cells(run), _speed(run, previous, fastest)] for previous, run in zip([None, *group[:-1]], group, strict=True)
    ]
    table = format_table(rows, HEADERS, ALIGNMENT, "simple")
    return "\n".join([_title(group[0].conditions), *(line.rstrip() for line in table.splitlines())])


def _title(conditions: Mapping[str, Any]) -> str:
    """Format conditions: `cpu, Intel Xeon, 1 thread, torch 2.15.0, fp32, train, batch 64, input [64, 1, 28, 28]`."""
    keys = [*CONDITION_LABELS, *(key for key in conditions if key not in CONDITION_LABELS)]
    return ", ".join(_format_labelled(key, conditions[key]) for key in keys if conditions.get(key) is not None)


def _format_labelled(key: str, value: Any) -> str:
    if key == "threads":
        return f"{format_condition(value)} thread{'' if value == 1 else 's'}"
    return f"{CONDITION_LABELS.get(key, key_text(key))} {format_condition(value)}".strip()


def _cells(run: SavedRun) -> list[str]:
    device, cpu, *others = [
        _or_dash(run.conditions.get(key)) for key in ("device", "cpu", "torch", "precision", "batch_size")
    ]
    where = f"{device}, {cpu}" if device == "cpu" and cpu != "-" else device
    against = f"{math.exp(fmean(run.log_ratios)):.3f}" if run.log_ratios else "-"
    return [run.date, run.commit, where, *others, format_rate(run.examples_per_sec), against, run.verdict or "-"]


def _or_dash(value: Any) -> str:
    return "-" if value is None else format_condition(value)


def _speed(run: SavedRun, previous: SavedRun | None, fastest: float) -> str:
    """Draw the rate as a bar, with the change to the run before."""
    bar = "#" * max(1, round(run.examples_per_sec / fastest * BAR_WIDTH))
    return bar if previous is None else f"{bar} {_change(previous, run)}"


def _change(previous: SavedRun, run: SavedRun) -> str:
    """Format the change: `+3 %`, or `~+3 %` by rates alone, which change with the machine's speed."""
    if run.reference and run.reference == previous.reference and run.log_ratios and previous.log_ratios:
        return _percent(math.exp(fmean(previous.log_ratios) - fmean(run.log_ratios)) - 1)
    return f"~{_percent(run.examples_per_sec / previous.examples_per_sec - 1)}"


def _percent(change: float) -> str:
    text = f"{100 * change:+.0f} %"
    return "+0 %" if text == "-0 %" else text
