"""The tables that a run ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archcheck.checks.outcome import CheckReport
from archcheck.checks.registry import CHECKS
from archcheck.text.tables import format_table
from archcheck.text.units import (
    format_bytes,
    format_count,
    format_known,
    format_macs,
    format_macs_rate,
    format_rate,
    format_seconds,
)
from archcheck.throughput.records import SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.training.records import TrainingRecord

VERDICTS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}


@dataclass(slots=True)
class Row:
    """All that is known of one spec so far: a row of the table."""

    spec: str
    build: str = ""
    num_params: int | None = None
    macs: int | None = None
    verdicts: dict[str, str] = field(default_factory=dict)
    duration_sec: float = 0.0
    notes: list[str] = field(default_factory=list)
    training: TrainingRecord | None = None
    speed: SpeedFigures | None = None

    def add(self, found: CheckReport, verdict: str, duration_sec: float) -> None:
        """Add what one check found, with `passed`, `failed` or `skipped` as its verdict."""
        outcome = found.outcome
        self.build = found.build or self.build
        if outcome.counts is not None:
            self.num_params = outcome.counts.num_params if outcome.counts.num_params is not None else self.num_params
            self.macs = outcome.counts.macs if outcome.counts.macs is not None else self.macs
        if outcome.training is not None and outcome.training.epochs:
            self.training = outcome.training
        self.speed = outcome.speed or self.speed
        self.notes = list(dict.fromkeys([*self.notes, *outcome.notes]))
        self.verdicts[found.check] = "updated" if outcome.is_update and verdict == "passed" else VERDICTS[verdict]
        self.duration_sec += duration_sec


def format_summary(rows: Sequence[Row]) -> str:
    """Format the table of specs: build, parameters, MACs, each check's verdict, time; notes below it."""
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
    notes = [f"{row.spec}: {'; '.join(row.notes)}" for row in ordered if row.notes]
    return "\n".join([format_table(cells, headers, align, "simple"), *notes])


def format_trainings(rows: Sequence[Row]) -> str:
    """Format a line for each network that was trained; return an empty text where none was."""
    trained = [(row.spec, row.training) for row in sorted(rows, key=lambda row: row.spec) if row.training]
    headers = ["spec", "recipe", "device", "precision", "seed", "epochs", "loss", "train", "test", "examples/s"]
    cells = [[spec, *_training_cells(run)] for spec, run in trained]
    return format_table(cells, headers, ["left"] * 4 + ["right"] * 6, "simple") if trained else ""


def _training_cells(run: TrainingRecord) -> list[str]:
    last = run.epochs[-1]
    return [
        run.kind, run.device, run.precision or "-", str(run.seed), str(last.epoch), format_known(last.loss, 4),
        format_known(last.train_accuracy, 3), format_known(run.final_accuracy, 3), format_rate(run.examples_per_sec),
    ]  # fmt: skip


def format_speeds(rows: Sequence[Row]) -> str:
    """Format a line for each network that was timed; return an empty text where none was."""
    return format_speed_table([(row.spec, row.speed) for row in sorted(rows, key=lambda row: row.spec) if row.speed])


def format_speed_table(timed: Sequence[tuple[str, SpeedFigures]]) -> str:
    """Format specs and their figures, a line each; columns that have nothing to tell are left out."""
    headers = [
        "spec",
        "mode",
        "device",
        "precision",
        "batch",
        "examples/s",
        "MACs",
        "of peak",
        "of bound",
        "memory",
        "compile",
    ]
    cells = [[spec, *_speed_cells(speed.record)] for spec, speed in timed]
    align = ["left"] * 4 + ["right"] * 7
    if any(speed.comparison is not None for _, speed in timed):
        headers.append("against")
        align.append("left")
        cells = [[*row, _format_against(speed.comparison)] for row, (_, speed) in zip(cells, timed, strict=True)]
    return format_table(cells, headers, align, "simple") if timed else ""


def _speed_cells(speed: SpeedRecord) -> list[str]:
    threads = f", {speed.num_threads} thread" if speed.num_threads else ""
    shares = ("-" if share is None else f"{share:.0%}" for share in (speed.utilization, speed.share_of_bound))
    return [
        speed.mode, f"{speed.device}{threads}", speed.precision, str(speed.batch_size),
        format_rate(speed.examples_per_sec), format_macs_rate(speed.macs_per_sec), *shares,
        format_bytes(speed.peak_memory_bytes), format_seconds(speed.compile_sec) if speed.compile_sec else "-",
    ]  # fmt: skip


def _format_against(comparison: SpeedComparison | None) -> str:
    return f"{comparison.speedup:.2f}x {comparison.against}" if comparison is not None else "-"
