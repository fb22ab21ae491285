from __future__ import annotations

import json

from archcheck.checks.outcome import CheckReport, NetworkCounts, Outcome, Unmeasured
from archcheck.findings import Addition, Edit, Mismatch, Removal, Rename
from archcheck.throughput.records import SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord

SPEED = SpeedRecord("train", "cpu", 1, "fp32", 64, 123.4, 0.5, 1e9, 4e9, None, 0.0)
TRAINING = TrainingRecord(
    (EpochRecord(1, 2.3, 0.1, 0.2, 0.0, 3.0, 1.5), EpochRecord(2, 1.1, 0.6, 0.7, 100.0, 2.0)),
    "quick", 3, "cpu", "fp32", fault=TrainingFault("no more", "dataset"),
)  # fmt: skip
MISMATCH = Mismatch(
    ("layers", "conv", "output", 1), "conv", "output shape differs", "[B, 3]", "[B, 4]", "conv",
    (("note", "a word"),), (Edit(("layers", "conv", "output", 1), 4), Edit(("function",), {"a": [1.5, None]})), 7,
)  # fmt: skip
EVERYTHING = CheckReport(
    "specs/a.arch.yaml", "/there/specs/a.arch.yaml", "shapes", "nets:small",
    Outcome(
        (MISMATCH,), (Unmeasured("no data", ("training",)), Unmeasured("no clock")), ("a note",),
        NetworkCounts(None, 12), TRAINING, SpeedFigures(SPEED, SpeedComparison(1.25, "main", "not slower")),
        (Edit(("macs",), "1.2 G"),), {"parameters": "parameters: 12"},
    ),
)  # fmt: skip


def test_a_report_comes_back_from_plain_values() -> None:
    assert CheckReport.from_plain(EVERYTHING.to_plain()) == EVERYTHING


def test_a_report_comes_back_from_json() -> None:
    assert CheckReport.from_plain(json.loads(json.dumps(EVERYTHING.to_plain()))) == EVERYTHING


def test_an_empty_report_comes_back() -> None:
    report = CheckReport("a", "/a", "spec")
    assert CheckReport.from_plain(report.to_plain()) == report


def test_figures_are_named_and_none_is_left_out() -> None:
    figures = EVERYTHING.outcome.figures()
    assert "params" not in figures
    assert figures["macs"] == 12
    assert (figures["recipe"], figures["epochs"], figures["test_accuracy"], figures["first_step_sec"]) == (
        "quick", 2, 0.7, 1.5,
    )  # fmt: skip
    assert (figures["mode"], figures["utilization"], figures["speedup"], figures["against"]) == (
        "train", 0.25, 1.25, "main",
    )  # fmt: skip


def test_a_run_without_an_epoch_has_no_figures() -> None:
    assert Outcome(training=TrainingRecord((), "quick", 0, "cpu", "fp32")).figures() == {}


def test_what_changes_the_spec_is_an_update() -> None:
    assert EVERYTHING.outcome.is_update
    assert Outcome(additions={"macs": "macs: 3"}).is_update
    assert not Outcome((MISMATCH,)).is_update


def test_changes_of_every_kind_come_back_as_they_were() -> None:
    changes = (
        Edit(("macs",), 3),
        Addition(("layers", "a"), {"type": "X"}, "b"),
        Rename(("layers", "b"), "c"),
        Removal(("a",)),
    )
    mismatch = Mismatch(("layers",), "a", "is gone", edits=changes)
    report = CheckReport("a", "/a", "shapes", outcome=Outcome((mismatch,), edits=changes))
    back = CheckReport.from_plain(json.loads(json.dumps(report.to_plain())))
    assert back.outcome.edits == changes
    assert back == report
