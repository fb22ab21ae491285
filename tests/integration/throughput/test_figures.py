"""What is measured of a network, and where the figures are shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from tests.integration.throughput.timed_project import (
    CALLS,
    SPEC,
    FakeFigures,
    FakePairs,
    TimedProject,
    against,
    figures_row,
    message,
    reason,
)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let half the time of a step be the least that it can take."""
    monkeypatch.setattr("archcheck.cost.bound.with_bound", lambda record, *_: replace(record, bound_sec=0.002))


def test_without_a_saved_run_it_is_measured_and_there_is_no_verdict(fast: TimedProject) -> None:
    result = fast.timed()  # all of it real
    assert reason(result) == ("specs/net.arch.yaml:3: no saved run of this spec; save one with --benchmark-autosave")
    spec, mode, device, precision, batch, rate, macs, of_peak, of_bound, memory, compile_sec = figures_row(result)
    assert (spec, mode, device, precision, batch) == ("specs/net.arch.yaml", "train", "cpu, 1 thread", "fp32", "4")
    assert float(rate) > 0
    assert macs.endswith("MAC/s")
    assert of_peak.endswith("%")
    assert of_bound.endswith("%")
    assert memory.endswith(" B")
    assert compile_sec == "-"


def test_strict_fails_what_has_no_verdict(fast: TimedProject) -> None:
    result = fast.timed(SPEC, "--archcheck-strict")
    result.assert_outcomes(failed=1)
    assert message(result) == (
        "specs/net.arch.yaml:3: not measured: no saved run of this spec; save one with --benchmark-autosave"
    )
    assert figures_row(result)[1] == "train"


def test_the_table_has_what_was_measured(fast: TimedProject, figures: FakeFigures, bound: None) -> None:
    result = fast.timed(SPEC + "  mode: inference\n")
    assert figures_row(result)[1:] == [
        "inference", "cpu, 1 thread", "fp32", "4", "1_000", "3 GMAC/s", "30%", "50%", "2.5 kB", "-",
    ]  # fmt: skip


def test_what_nobody_knows_is_a_dash(fast: TimedProject, figures: FakeFigures) -> None:
    figures.macs_per_sec = None
    assert figures_row(fast.timed())[6:8] == ["-", "-"]


def test_a_recipe_is_timed_as_it_is_written(fast: TimedProject) -> None:
    """Its batch size, loss and optimizer; the data set need not be there."""
    recipe = "training:\n  dataset: csv\n  batch_size: 6\n  optimizer: {name: AdamW, lr: 0.1}\n"
    result = fast.timed(
        SPEC.replace("  batch_size: 4\n", "  mode: train\n").replace("throughput", recipe + "throughput")
    )
    assert reason(result).startswith("specs/net.arch.yaml:7: no saved run")
    assert figures_row(result)[4] == "6"


def test_pytest_benchmark_is_found_by_its_modules_name_too(fast: TimedProject) -> None:
    """How it is loaded where plugins aren't loaded by themselves, by pytest's own manual."""
    fast.spec("net", SPEC)
    result = fast.pytester.runpytest_inprocess(
        "-p", "archcheck.plugin", "-p", "pytest_benchmark.plugin", "--archcheck", "-k", "throughput", "-rs"
    )
    assert reason(result).startswith("specs/net.arch.yaml:3: no saved run")


def test_junit_has_the_figures(fast: TimedProject, figures: FakeFigures, pairs: FakePairs, bound: None) -> None:
    pairs.found = [1.25]
    _, label = against(fast, SPEC, "--junitxml", "junit.xml")
    (case,) = ET.parse(fast.path / "junit.xml").getroot().iter("testcase")
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert properties == {
        "archcheck_mode": "train", "archcheck_device": "cpu", "archcheck_num_threads": "1",
        "archcheck_precision": "fp32", "archcheck_batch_size": "4", "archcheck_examples_per_sec": "1000.0",
        "archcheck_step_sec": "0.004", "archcheck_macs_per_sec": "3000000000.0",
        "archcheck_peak_macs_per_sec": "10000000000.0", "archcheck_peak_memory_bytes": "2500",
        "archcheck_compile_sec": "0.0", "archcheck_utilization": "0.3", "archcheck_bound_sec": "0.002",
        "archcheck_share_of_bound": "0.5", "archcheck_speedup": "0.8",
        "archcheck_against": label, "archcheck_verdict": "slower",
    }  # fmt: skip
    (failure,) = case.iter("failure")
    assert failure.attrib["message"].startswith("throughput: slower than HEAD")


def test_what_a_network_prints_is_captured(fast: TimedProject) -> None:
    result = fast.timed(CALLS.replace("WHAT", "speaks"))
    assert "a word from forward" not in result.stdout.str()


@pytest.mark.parametrize(
    ("section", "options", "share"),
    [
        ("throughput: {mode: inference}\n", [], 0.2),
        ("throughput: {mode: inference}\n", ["--benchmark-json", "out.json"], 1.0),
        ("throughput: {mode: inference}\n", ["--benchmark-autosave"], 1.0),
        ("throughput: {mode: inference, min_examples_per_sec: 1}\n", [], 1.0),
        ("throughput: {mode: inference, min_utilization: 0.001}\n", [], 1.0),
    ],
)
def test_figures_that_are_only_shown_take_a_fifth_of_the_time(
    fast: TimedProject, figures: FakeFigures, pairs: FakePairs, section: str, options: list[str], share: float
) -> None:
    fast.spec("net", f"build: fast:net\ninput: [B, 2]\n{section}")
    fast.run("-k", "throughput", *options)
    assert figures.shares[0] == share
