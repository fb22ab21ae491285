"""Which runs time a network, and which do not."""

from __future__ import annotations

import pytest
import torch

from tests.integration.throughput.timed_project import (
    FLOORED,
    SPEC,
    FakeFigures,
    FakePairs,
    TimedProject,
    figures_row,
    message,
    reason,
)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--benchmark-disable", "timing is switched off (--benchmark-disable)"),
        ("-pno:benchmark", "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"),
    ],
    ids=["disabled", "no plugin"],
)
def test_timing_that_is_switched_off_is_no_verdict(fast: TimedProject, option: str, why: str) -> None:
    options = ["-p", option[2:]] if option.startswith("-p") else [option]
    result = fast.timed(SPEC, *options)
    assert reason(result) == f"specs/net.arch.yaml:3: {why}"
    assert "examples/s" not in result.stdout.str()
    result = fast.timed(SPEC, *options, "--archcheck-strict")
    assert message(result) == f"specs/net.arch.yaml:3: not measured: {why}"


def test_without_pytest_benchmark_its_options_are_unknown(fast: TimedProject) -> None:
    result = fast.timed(SPEC, "-p", "no:benchmark", "--benchmark-autosave")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --benchmark-autosave"])


def test_benchmarks_may_be_left_out(fast: TimedProject, pairs: FakePairs) -> None:
    fast.spec("net", SPEC)
    result = fast.run("--benchmark-skip", "-rs")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED *: Skipping benchmark (--benchmark-skip active)."])
    assert "examples/s" not in result.stdout.str()


def test_benchmarks_may_be_all_that_runs(fast: TimedProject, figures: FakeFigures) -> None:
    fast.spec("net", SPEC + "  min_examples_per_sec: 1\n")
    result = fast.run("--benchmark-only", "-rs")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED *: Skipping non-benchmark (--benchmark-only active)."])


def test_a_device_that_is_not_there_is_no_verdict(fast: TimedProject) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    assert reason(fast.timed(SPEC, "--archcheck-device", "mps")) == (
        "specs/net.arch.yaml:3: no device 'mps': this machine has no MPS device"
    )


@pytest.mark.parametrize("options", [["-k", "throughput"], ["-m", "archcheck_throughput"]])
def test_it_is_chosen_like_any_test(fast: TimedProject, figures: FakeFigures, options: list[str]) -> None:
    fast.spec("net", FLOORED + "output: [B, 2]\n")
    result = fast.run(*options, "-v")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["specs/net.arch.yaml::throughput PASSED*"])


def test_last_failed_times_only_what_failed(fast: TimedProject, figures: FakeFigures) -> None:
    fast.spec("a", FLOORED)
    fast.spec("b", FLOORED.replace("1000", "2000"))
    fast.run().assert_outcomes(passed=5, failed=1, skipped=2)
    result = fast.run("--lf")
    result.assert_outcomes(failed=1)
    assert figures_row(result, "specs/b.arch.yaml")[5] == "1_000"
