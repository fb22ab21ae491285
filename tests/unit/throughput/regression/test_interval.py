"""From ratios to verdicts; quantiles are those of printed tables, intervals are computed by hand."""

from __future__ import annotations

import math
import random

import pytest

from archcheck.throughput.regression.interval import Interval, change_interval, judge, ratio_interval, student_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.995, 6, 3.707), (0.995, 7, 3.499), (0.995, 10, 3.169), (0.995, 30, 2.750), (0.995, 120, 2.617),
        (0.975, 6, 2.447), (0.975, 10, 2.228), (0.975, 30, 2.042), (0.5, 6, 0.0), (0.005, 10, -3.169),
    ],
)  # fmt: skip
def test_students_quantiles_are_those_of_the_tables(probability: float, freedom: int, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, rel=5e-3, abs=1e-9)


# ------------------------------------------------------------------------------------------- intervals by hand


def test_one_process_is_known_as_well_as_was_assumed() -> None:
    """t(6) times the assumed standard deviation: 3.707 * 0.015 = 0.0556."""
    interval = ratio_interval([math.log(1.1)])
    assert interval.ratio == pytest.approx(1.1)
    assert (interval.low, interval.high) == pytest.approx((1.1 / 1.05718, 1.1 * 1.05718), rel=5e-4)


def test_two_processes_and_the_assumption_make_an_interval() -> None:
    """Squares about 0.12 are 0.0008, the assumption's 6 * 0.000225: the variance is 0.00215 / 7, half of it a mean's.

    t(7) = 3.499, times sqrt(0.00015357) = 0.012392: 0.04336.
    """
    interval = ratio_interval([0.10, 0.14])
    assert interval.ratio == pytest.approx(math.exp(0.12))
    assert math.log(interval.low) == pytest.approx(0.12 - 0.04336, abs=2e-4)
    assert math.log(interval.high) == pytest.approx(0.12 + 0.04336, abs=2e-4)


def test_a_change_is_as_uncertain_as_both_its_sides() -> None:
    """One value now, two then with squares of 0.0002: the variance is 0.00155 / 7, times 1 + 1/2.

    t(7) = 3.499, times sqrt(0.00033214) = 0.018225: 0.06377.
    """
    interval = change_interval([0.1], [0.0, 0.02])
    assert interval.ratio == pytest.approx(math.exp(0.09))
    assert math.log(interval.low) == pytest.approx(0.09 - 0.06377, abs=3e-4)
    assert math.log(interval.high) == pytest.approx(0.09 + 0.06377, abs=3e-4)


def test_a_ratio_turned_round_has_its_interval_turned_round() -> None:
    ours, theirs = ratio_interval([0.1, 0.13, 0.08]), ratio_interval([-0.1, -0.13, -0.08])
    assert (1 / ours.high, 1 / ours.ratio, 1 / ours.low) == pytest.approx((theirs.low, theirs.ratio, theirs.high))


def test_more_values_tighten_it() -> None:
    widths = [math.log(one.high / one.low) for one in (ratio_interval([0.01, -0.01] * n) for n in (1, 2, 4, 8))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 3


def test_values_further_apart_widen_it() -> None:
    near, far = ratio_interval([0.0, 0.01]), ratio_interval([-0.05, 0.06])
    assert near.ratio == pytest.approx(far.ratio)
    assert far.low < near.low < near.high < far.high


def test_it_holds_the_truth_ninety_nine_times_in_a_hundred() -> None:
    """Of 2000 intervals of normal values, as wide as processes are apart, 20 may miss; 5 more are three sigmas off."""
    draw = random.Random(0)
    intervals = [ratio_interval([draw.gauss(0.05, 0.015) for _ in range(3)]) for _ in range(2000)]
    missed = sum(not one.low <= math.exp(0.05) <= one.high for one in intervals)
    assert missed <= 34


# ------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.08, 1.2, "over"), (0.9, 1.07, "under"), (1.0, 1.2, "open"),
        (0.9, 1.075, "under"),  # at most so much longer
        (1.075, 1.2, "open"),
    ],
)  # fmt: skip
def test_a_limit_is_passed_kept_or_neither(low: float, high: float, verdict: str) -> None:
    assert judge(Interval(low, (low + high) / 2, high), 1.075) == verdict


def test_two_values_that_agree_prove_little() -> None:
    assert judge(ratio_interval([math.log(1.05)] * 2), 1.03) == "open"
    assert judge(ratio_interval([math.log(1.05)] * 8), 1.03) == "over"


def test_a_great_difference_is_clear_from_two() -> None:
    assert judge(ratio_interval([math.log(1.2), math.log(1.21)]), 1.075) == "over"
    assert judge(ratio_interval([0.0, 0.005]), 1.075) == "under"


def test_an_interval_is_written_with_its_bounds() -> None:
    assert str(Interval(1.0823, 1.1004, 1.1188)) == "1.100 (1.082 to 1.119)"
