"""The tables that a run ends with."""

from __future__ import annotations

from dataclasses import replace

from archcheck.checks.outcome import CheckReport, NetworkCounts, Outcome
from archcheck.findings import Edit
from archcheck.report.summary_tables import Row, format_speed_table, format_summary, format_trainings
from archcheck.throughput.records import SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.training.records import EpochRecord, TrainingRecord

SPEED = SpeedRecord("train", "cpu", 1, "fp32", 64, 11_612.0, 0.5, 1.5e9, 6e9, 158_000_000, 0.0)


def row(*found: tuple[CheckReport, str]) -> Row:
    made = Row("specs/a.arch.yaml")
    for report, verdict in found:
        made.add(report, verdict, 0.25)
    return made


def report(check: str, **outcome: object) -> CheckReport:
    return CheckReport("specs/a.arch.yaml", "/a", check, "nets:small", Outcome(**outcome))  # type: ignore[arg-type]


def test_a_row_gathers_what_the_checks_of_a_spec_found() -> None:
    made = row(
        (report("shapes", counts=NetworkCounts(11_926, 129_360), notes=("ran on cpu",)), "passed"),
        (report("compute", counts=NetworkCounts(None, None), notes=("ran on cpu",)), "failed"),
        (report("parameters", edits=(Edit(("parameters",), 3),)), "passed"),
        (report("function"), "skipped"),
    )
    assert (made.build, made.num_params, made.macs, made.notes) == ("nets:small", 11_926, 129_360, ["ran on cpu"])
    assert made.verdicts == {"shapes": "ok", "compute": "FAILED", "parameters": "updated", "function": "skipped"}
    assert made.duration_sec == 1.0


def test_checks_are_columns_in_the_order_of_the_registry() -> None:
    text = format_summary([row((report("health"), "passed"), (report("shapes"), "passed"))])
    assert text.splitlines()[0].split() == ["spec", "build", "parameters", "MACs", "shapes", "health", "time"]


def test_a_training_run_without_an_epoch_has_no_line() -> None:
    dead = TrainingRecord((), "quick", 0, "cpu", "fp32")
    assert format_trainings([row((report("accuracy", training=dead), "failed"))]) == ""
    run = replace(dead, epochs=(EpochRecord(3, 0.41234, 0.9, 0.8, 11_612.0, 2.0),))
    line = format_trainings([row((report("accuracy", training=run), "passed"))]).splitlines()[-1]
    assert line.split() == ["specs/a.arch.yaml", "quick", "cpu", "fp32", "0", "3", "0.4123", "0.900", "0.800", "11_600"]


def test_a_speed_is_told_against_what_it_was_compared_with() -> None:
    alone = format_speed_table([("a", SpeedFigures(SPEED))])
    assert "against" not in alone
    assert alone.splitlines()[-1].split()[-6:] == ["GMAC/s", "25%", "-", "158", "MB", "-"]
    compared = format_speed_table([("a", SpeedFigures(SPEED, SpeedComparison(1.25, "main", "not slower")))])
    assert compared.splitlines()[0].endswith("against")
    assert compared.splitlines()[-1].endswith("1.25x main")
