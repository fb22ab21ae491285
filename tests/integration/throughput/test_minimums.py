"""`min_examples_per_sec` and `min_utilization`."""

from __future__ import annotations

import re

from tests.integration.throughput.timed_project import (
    FLOORED,
    SPEC,
    FakeFigures,
    FakeReferences,
    TimedProject,
    figures_row,
    message,
    reason,
)


def test_a_rate_below_the_minimum_fails_at_its_line(fast: TimedProject, figures: FakeFigures) -> None:
    figures.rates = [600.0, 750.0, 700.0]
    result = fast.timed(FLOORED)
    result.assert_outcomes(failed=1)
    assert message(result).splitlines() == [
        "specs/net.arch.yaml:5: throughput: 25 % fewer examples per second than the minimum",
        "  expected  at least 1_000 examples/s",
        "  actual    750 examples/s",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
    ]
    assert figures_row(result)[5] == "750"


def test_a_minimum_for_this_device_is_pointed_at_there(fast: TimedProject, figures: FakeFigures) -> None:
    figures.rates = [500.0]
    result = fast.timed(SPEC + "  min_examples_per_sec:\n    NVIDIA H200: 20_000\n    cpu: 1_000\n")
    assert message(result).startswith("specs/net.arch.yaml:7: throughput: 50 % fewer examples per second")


def test_a_rate_far_below_the_minimum_is_told_in_plain_digits(fast: TimedProject, figures: FakeFigures) -> None:
    """This happens where somebody forgets that a minimum is meant for a GPU."""
    result = fast.timed(SPEC + "  min_examples_per_sec: 1_000_000\n")
    assert re.search(r"throughput: (100|99\.9) % fewer examples per second", message(result))


def test_a_minimum_that_another_device_has_too_is_pointed_at_there(fast: TimedProject, figures: FakeFigures) -> None:
    figures.rates = [500.0]
    result = fast.timed(SPEC + "  min_examples_per_sec:\n    mps: 1_000\n    cpu: 1_000\n")
    assert message(result).startswith("specs/net.arch.yaml:7: throughput: 50 % fewer examples per second")


def test_one_slow_second_is_not_held_against_it(fast: TimedProject, figures: FakeFigures) -> None:
    """A minimum is meant for the machine, not for its busiest second."""
    figures.rates = [600.0, 750.0, 1100.0]
    fast.timed(FLOORED).assert_outcomes(passed=1)


def test_a_minimum_that_is_met_needs_no_saved_run(fast: TimedProject, figures: FakeFigures) -> None:
    fast.timed(FLOORED).assert_outcomes(passed=1)


def test_with_max_regression_it_is_held_against_both(fast: TimedProject, figures: FakeFigures) -> None:
    assert reason(fast.timed(FLOORED + "  max_regression: 5%\n")).startswith("specs/net.arch.yaml:3: no saved run")


def test_a_minimum_for_another_device_is_none_here(fast: TimedProject, figures: FakeFigures) -> None:
    text = SPEC + "  min_examples_per_sec: {NVIDIA H200: 20_000}\n"
    assert reason(fast.timed(text)).startswith("specs/net.arch.yaml:3: no saved run")


def test_a_utilization_below_the_minimum_fails_at_its_line(fast: TimedProject, figures: FakeFigures) -> None:
    result = fast.timed(SPEC + "  min_utilization: 0.4\n")
    assert message(result).splitlines() == [
        "specs/net.arch.yaml:5: throughput: less of the device's own peak than the minimum",
        "  expected  at least 0.4 of 10 GMAC/s",
        "  actual    0.3, 3 GMAC/s",
        "  measured  train, batch 4, fp32 on cpu, 1 thread",
    ]
    fast.timed(SPEC + "  min_utilization: 0.3\n").assert_outcomes(passed=1)


def test_a_utilization_that_cannot_be_counted_fails(fast: TimedProject, figures: FakeFigures) -> None:
    figures.macs_per_sec = None
    assert message(fast.timed(SPEC + "  min_utilization: 0.3\n")) == (
        "specs/net.arch.yaml:5: min_utilization: nobody knows the network's multiply-adds, "
        "which `min_utilization` counts"
    )


def test_a_minimum_for_other_devices_is_told(fast: TimedProject, references: FakeReferences) -> None:
    result = fast.timed(SPEC + "  min_examples_per_sec: {NVIDA H200: 30}\n")
    result.stdout.fnmatch_lines(["specs/net.arch.yaml: `min_examples_per_sec` says nothing of cpu"])
