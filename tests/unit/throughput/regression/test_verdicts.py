"""What is told of speeds: measurements made up, and the words that a user reads."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.findings import Mismatch
from archcheck.spec.models import Faster
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.interval import Interval, Verdict
from archcheck.throughput.regression.paired_benchmark import PairedResult
from archcheck.throughput.regression.verdicts import (
    Floor,
    check_faster,
    check_floors,
    check_regression,
    format_change,
    format_factor,
    format_range,
)

MEASURED = (("measured", "train, batch 64, fp32 on cpu, 1 thread"),)


def record(**changes: Any) -> SpeedRecord:
    values: dict[str, Any] = {
        "mode": "train", "device": "cpu", "num_threads": 1, "precision": "fp32", "batch_size": 64,
        "examples_per_sec": 900.0, "step_sec": 0.0711, "macs_per_sec": 12e9, "peak_macs_per_sec": 40e9,
        "peak_memory_bytes": 1000, "compile_sec": 0.0,
    }  # fmt: skip
    return SpeedRecord(**values | changes)


RATE = Floor(("throughput", "min_examples_per_sec"), 1000.0)
SHARE = Floor(("throughput", "min_utilization"), 0.4)


# ------------------------------------------------------------------------------------------- floors


def test_too_few_examples_per_second_are_told_with_how_they_were_measured() -> None:
    assert check_floors(record(), RATE, None) == [
        Mismatch(
            RATE.keys, "throughput", "10 % fewer examples per second than the minimum",
            expected="at least 1_000 examples/s", actual="900 examples/s", notes=MEASURED,
        )
    ]  # fmt: skip


def test_too_small_a_share_of_the_peak_is_told_with_both_rates() -> None:
    assert check_floors(record(), None, SHARE) == [
        Mismatch(
            SHARE.keys, "throughput", "less of the device's own peak than the minimum",
            expected="at least 0.4 of 40 GMAC/s", actual="0.3, 12 GMAC/s", notes=MEASURED,
        )
    ]  # fmt: skip


def test_both_minima_are_told_at_once() -> None:
    assert [one.keys for one in check_floors(record(), RATE, SHARE)] == [RATE.keys, SHARE.keys]


def test_what_reaches_its_minimum_passes() -> None:
    assert check_floors(record(examples_per_sec=1000.0, macs_per_sec=16e9), RATE, SHARE) == []
    assert check_floors(record(), None, None) == []


def test_a_gpu_has_no_threads_to_tell() -> None:
    (mismatch,) = check_floors(record(device="NVIDIA H200", num_threads=None, mode="inference"), RATE, None)
    assert mismatch.notes == (("measured", "inference, batch 64, fp32 on NVIDIA H200"),)


# ------------------------------------------------------------------------------------------- changes


def test_a_slower_step_is_told_with_how_sure_that_is_and_how_to_see_it_again() -> None:
    keys, again = ("throughput", "max_regression"), "pytest --archcheck -k throughput"
    interval = Interval(1.121, 1.152, 1.184)
    assert check_regression(interval, 7.5, record(), "main (1a2b3c4)", again, keys) == [
        Mismatch(
            keys, "throughput", "slower than main (1a2b3c4): a step takes 15.2 % longer",
            expected="at most 7.5 % longer", actual="+15.2 % (99 % sure: +12.1 % to +18.4 %)",
            notes=(*MEASURED, ("again", again)),
        )
    ]  # fmt: skip


def comparison(verdict: Verdict) -> PairedResult:
    return PairedResult((0.2, 0.3), Interval(1.102, 1.261, 1.442), verdict, 0.00126, 0.001, 12.0)


def test_a_spec_that_is_not_so_much_faster_is_told_with_both_rates() -> None:
    keys = ("claims", "faster_than")
    assert check_faster(keys, Faster(spec="resnet18", by=1.5), comparison("under")) == [
        Mismatch(
            ("claims", "faster_than", "by"), "faster_than", "1.26x as fast as resnet18",
            expected="at least 1.5x", actual="1.261x (99 % sure: 1.102 to 1.442)",
            notes=(("rates", "1_000 examples/s, resnet18 794"),),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("verdict", ["over", "open"])
def test_what_is_faster_or_unclear_is_no_mismatch(verdict: Verdict) -> None:
    assert check_faster(("claims",), Faster(spec="resnet18", by=1.2), comparison(verdict)) == []


# ------------------------------------------------------------------------------------------- words


def test_a_change_is_told_in_either_direction() -> None:
    assert format_change(Interval(1.1, 1.152, 1.2)) == "15.2 % longer"
    assert format_change(Interval(0.9, 0.969, 1.0)) == "3.1 % less"
    assert format_range(Interval(0.95, 0.969, 1.01)) == "-3.1 % (99 % sure: -5.0 % to +1.0 %)"
    assert format_factor(Interval(1.9024, 1.961, 2.022)) == "1.961x (99 % sure: 1.902 to 2.022)"
