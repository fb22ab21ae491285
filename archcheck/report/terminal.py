"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from archcheck.plugin import CHECKS
from archcheck.text.tables import format_table
from archcheck.text.units import format_bytes, format_count, format_macs, format_macs_rate, format_rate, format_seconds

VERDICTS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


@dataclass(slots=True)
class Row:
    """What is known of one spec so far."""

    spec: str
    build: str = ""
    num_params: int | None = None
    macs: int | None = None
    verdicts: dict[str, str] = field(default_factory=dict)
    duration_sec: float = 0.0
    note: str = ""
    training: Mapping[str, Any] | None = None
    throughput: Mapping[str, Any] | None = None


def add_report(
    rows: dict[str, Row], report: pytest.TestReport, facts: Mapping[str, Any], *, updated: bool = False
) -> None:
    """Add one item's report to its spec's row."""
    row = rows.setdefault(facts["spec"], Row(facts["spec"]))
    row.build = facts.get("build") or row.build
    row.num_params = facts["params"] if facts.get("params") is not None else row.num_params
    row.macs = facts["macs"] if facts.get("macs") is not None else row.macs
    row.training = facts.get("training") or row.training
    row.throughput = facts.get("throughput") or row.throughput
    row.note = "; ".join(dict.fromkeys(note for note in (row.note, facts.get("note")) if note))
    row.verdicts[facts["check"]] = "updated" if updated and report.passed else VERDICTS[report.outcome]
    row.duration_sec += report.duration


def format_summary(rows: Sequence[Row]) -> str:
    """The table by tabulate: spec, build, parameters, MACs, each check's verdict, time; notes below it."""
    ordered = sorted(rows, key=lambda row: row.spec)
    checks = [check for check in CHECKS if any(check in row.verdicts for row in ordered)]
    headers = ["spec", "build", "parameters", "MACs", *checks, "time"]
    align = ["left", "left", "right", "right", *["left"] * len(checks), "right"]
    cells = [
        [row.spec, row.build or "-", format_count(row.num_params), format_macs(row.macs)]
        + [row.verdicts.get(check, "-") for check in checks]
        + [format_seconds(row.duration_sec)]
        for row in ordered
    ]
    notes = [f"{row.spec}: {row.note}" for row in ordered if row.note]
    return "\n".join([format_table(cells, headers, align, "simple"), *notes])


def format_trainings(rows: Sequence[Row]) -> str:
    """A line for each network that was trained; nothing where none was."""
    trained = [(row.spec, row.training) for row in sorted(rows, key=lambda row: row.spec) if row.training]
    headers = ["spec", "recipe", "device", "precision", "seed", "epochs", "loss", "train", "test", "examples/s"]
    cells = [[spec, *_training_cells(run)] for spec, run in trained]
    return format_table(cells, headers, ["left"] * 4 + ["right"] * 6, "simple") if trained else ""


def _training_cells(run: Mapping[str, Any]) -> list[str]:
    figures = f"{run['loss']:.4f}", f"{run['train_accuracy']:.3f}", f"{run['test_accuracy']:.3f}"
    return [*(str(run[key]) for key in ("recipe", "device", "precision", "seed", "epochs")), *figures,
            format_rate(run["examples_per_sec"])]  # fmt: skip


def format_speeds(rows: Sequence[Row]) -> str:
    """A line for each network that was timed; nothing where none was."""
    return format_speed_table([(row.spec, row.throughput) for row in sorted(rows, key=lambda row: row.spec)])


def format_speed_table(speeds: Sequence[tuple[str, Mapping[str, Any] | None]]) -> str:
    """Specs and their figures, a line each; without a column where it has nothing to tell."""
    timed = [(spec, speed) for spec, speed in speeds if speed]
    headers = ["spec", "mode", "device", "precision", "batch", "examples/s", "MACs", "of peak", "memory", "compile"]
    cells = [[spec, *_speed_cells(speed)] for spec, speed in timed]
    align = ["left"] * 4 + ["right"] * 6
    if any("against" in speed for _, speed in timed):
        headers.append("against")
        align.append("left")
        cells = [[*row, _format_against(speed)] for row, (_, speed) in zip(cells, timed, strict=True)]
    return format_table(cells, headers, align, "simple") if timed else ""


def _speed_cells(speed: Mapping[str, Any]) -> list[str]:
    threads = f", {speed['num_threads']} thread" if speed["num_threads"] else ""
    utilization = speed["utilization"]
    return [
        speed["mode"], f"{speed['device']}{threads}", speed["precision"], str(speed["batch_size"]),
        format_rate(speed["examples_per_sec"]), format_macs_rate(speed["macs_per_sec"]),
        "-" if utilization is None else f"{utilization:.0%}", format_bytes(speed["peak_memory_bytes"]),
        format_seconds(speed["compile_sec"]) if speed["compile_sec"] else "-",
    ]  # fmt: skip


def _format_against(speed: Mapping[str, Any]) -> str:
    return f"{speed['speedup']:.2f}x {speed['against']}" if "against" in speed else "-"
