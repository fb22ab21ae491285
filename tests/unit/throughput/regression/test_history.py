"""Saved runs to text; the runs are made by hand."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from archcheck.throughput.regression.history import format_history
from archcheck.throughput.regression.saved_runs import SavedRun

CPU = {
    "device": "cpu", "cpu": "Intel Xeon", "threads": 1, "torch": "2.15.0", "precision": "fp32", "mode": "train",
    "batch_size": 64, "input": "[64, 1, 28, 28]",
}  # fmt: skip
CUDA = CPU | {"device": "cuda", "cpu": None, "threads": 8, "precision": "bf16"}


def run(rate: float = 1000.0, **changes: Any) -> SavedRun:
    values = {"file": "m/0001_x.json", "date": "2026-11-22 08:50", "commit": "0123456", "fullname": "a::throughput",
              "conditions": CPU, "reference": None, "log_ratios": (), "verdict": None}  # fmt: skip
    return SavedRun(examples_per_sec=rate, **(values | changes))


def timed(ratio: float, reference: str = "AAAA", rate: float = 1000.0) -> SavedRun:
    """A run that took `ratio` times as long as its reference."""
    return run(rate, reference=reference, log_ratios=(math.log(ratio) - 0.1, math.log(ratio) + 0.1))


def rows(*runs: SavedRun) -> list[list[str]]:
    """The cells of a single table, without title, headers and rule."""
    return [re.split(r"\s{2,}", line) for line in format_history(runs).splitlines()[3:]]


def marks(*runs: SavedRun) -> list[str]:
    """What stands behind each run's bar."""
    return [cells[-1].lstrip("#").strip() for cells in rows(*runs)]


def test_no_run_is_no_text() -> None:
    assert format_history([]) == ""


def test_a_run_is_a_line() -> None:
    title, headers, _, line = format_history([timed(1.25)]).splitlines()
    assert title == "cpu, Intel Xeon, 1 thread, torch 2.15.0, fp32, train, batch 64, input [64, 1, 28, 28]"
    names = ["date", "commit", "device", "torch", "precision", "batch", "examples/s", "against reference", "verdict"]
    assert re.split(r"\s{2,}", headers) == [*names, "speed"]
    assert re.split(r"\s{2,}", line) == [
        "2026-11-22 08:50", "0123456", "cpu, Intel Xeon", "2.15.0", "fp32", "64", "1_000", "1.250", "-", "#" * 30,
    ]  # fmt: skip


def test_what_was_not_measured_is_a_dash() -> None:
    ((*_, torch, precision, batch, rate, against, verdict, _),) = rows(run(conditions={"device": "cuda"}))
    assert (torch, precision, batch, rate, against, verdict) == ("-", "-", "-", "1_000", "-", "-")


def test_the_verdict_is_shown() -> None:
    assert [cells[-2] for cells in rows(run(verdict="slower"), run(verdict="can't tell"))] == ["slower", "can't tell"]


def test_bars_are_as_long_as_the_rates_are_high() -> None:
    bars = [cells[-1].count("#") for cells in rows(run(500.0), run(1000.0), run(100.0), run(1.0))]
    assert bars == [15, 30, 3, 1]


def test_each_set_of_conditions_has_a_table_and_bars_of_its_own() -> None:
    runs = [run(10.0), run(4000.0, conditions=CUDA), run(20.0)]
    cuda, cpu = format_history(runs).split("\n\n")
    assert cuda.startswith("cuda, 8 threads, torch 2.15.0, bf16, train, batch 64, input [64, 1, 28, 28]\ndate")
    assert cpu.startswith("cpu, Intel Xeon, 1 thread")
    assert [line.count("#") for line in cpu.splitlines()[3:]] == [15, 30]
    assert [line.count("#") for line in cuda.splitlines()[3:]] == [30]


def test_the_table_of_the_latest_run_comes_last() -> None:
    titles = [table.split(",")[0] for table in format_history([run(), run(conditions=CUDA)]).split("\n\n")]
    assert titles == ["cpu", "cuda"]


def test_keys_in_another_order_are_the_same_conditions() -> None:
    assert len(rows(run(), run(conditions=dict(reversed(CPU.items()))))) == 2


@pytest.mark.parametrize(
    ("before", "after", "mark"),
    [(1.0, 0.8, "+25 %"), (1.0, 1.25, "-20 %"), (2.0, 2.0, "+0 %"), (1.0, 1.001, "+0 %"), (1.0, 0.5, "+100 %")],
)
def test_the_change_is_that_of_the_ratios_to_the_same_reference(before: float, after: float, mark: str) -> None:
    assert marks(timed(before, rate=1000.0), timed(after, rate=1.0)) == ["", mark]


@pytest.mark.parametrize("other", [timed(1.0, reference="BBBB", rate=1200.0), run(1200.0)])
def test_without_the_same_reference_the_rates_have_to_do(other: SavedRun) -> None:
    assert marks(timed(1.0), other, timed(9.0, rate=900.0)) == ["", "~+20 %", "~-25 %"]


def test_a_change_is_to_the_run_before_of_the_same_conditions() -> None:
    text = format_history([run(1000.0), run(10.0, conditions=CUDA), run(1100.0)])
    assert [line.split("# ")[1] for line in text.splitlines() if "# " in line] == ["~+10 %"]


def test_what_a_file_calls_its_machine_never_breaks_the_table() -> None:
    odd = CPU | {"cpu": "a\nb", "no {key}": "{0}"}
    title, *_, line = format_history([run(conditions=odd)]).splitlines()
    assert title.startswith(r"cpu, 'a\nb', 1 thread")
    assert title.endswith("no {key} {0}")
    assert r"cpu, 'a\nb'" in line


def test_no_line_ends_in_blanks() -> None:
    lines = format_history([run(10.0), run(1000.0, verdict="not slower")]).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
