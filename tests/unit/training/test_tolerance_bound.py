"""Tolerance factors against published tables, and the minimum that they give."""

from __future__ import annotations

import random

import pytest

from archcheck.errors import UsageError
from archcheck.training.tolerance_bound import LEAST_STD, lower_bound, one_sided_factor, spread

# ISO 16269-6, one-sided factors for unknown standard deviation, confidence 95 %.
TABLE = [
    (2, 0.99, 37.094), (3, 0.99, 10.553), (4, 0.99, 7.042), (5, 0.99, 5.741), (6, 0.99, 5.062), (10, 0.99, 3.981),
    (20, 0.99, 3.295), (5, 0.90, 3.407), (5, 0.95, 4.203), (10, 0.95, 2.911), (20, 0.95, 2.396),
]  # fmt: skip


@pytest.mark.parametrize(("num_samples", "coverage", "expected"), TABLE)
def test_factors_are_those_of_the_table(num_samples: int, coverage: float, expected: float) -> None:
    assert one_sided_factor(num_samples, coverage, 0.95) == pytest.approx(expected, abs=0.0006)


def test_more_samples_and_less_confidence_ask_for_less() -> None:
    factors = [one_sided_factor(n) for n in range(2, 30)]
    assert factors == sorted(factors, reverse=True)
    assert one_sided_factor(5, confidence=0.9) < one_sided_factor(5)


def test_the_bound_holds_what_it_promises() -> None:
    """Of bounds from five samples of one population, 95 % lie below its first percentile."""
    draw = random.Random(0)
    first_percentile = 0.8 - 2.3263 * 0.02
    below = sum(lower_bound([draw.gauss(0.8, 0.02) for _ in range(5)]) <= first_percentile for _ in range(2000))
    assert below / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_bound_by_hand() -> None:
    # mean 0.842, sample standard deviation 0.0083666, times 5.741 from the table: 0.842 - 0.04803 = 0.79397.
    assert lower_bound([0.83, 0.84, 0.84, 0.85, 0.85]) == 0.793


def test_runs_that_agree_still_leave_room() -> None:
    assert spread([0.9] * 5) == LEAST_STD == 0.001
    assert lower_bound([0.9] * 5) == 0.894  # 0.9 - 5.741 * 0.001, rounded down
    assert lower_bound([1.0] * 5) == 0.994


def test_the_steps_of_a_small_test_set_count() -> None:
    assert spread([0.9] * 5, resolution=1 / 200) == 0.005
    assert lower_bound([0.9] * 5, resolution=1 / 200) == 0.871


def test_one_run_has_no_spread() -> None:
    with pytest.raises(UsageError, match=r"set from the spread of 2 runs at least \(5 are better\), found 1"):
        lower_bound([0.9])


def test_runs_far_apart_give_no_bound() -> None:
    with pytest.raises(UsageError, match=r"the runs differ too much \(0.710, 0.100, 0.700\): no minimum separates"):
        lower_bound([0.71, 0.10, 0.70])
    with pytest.raises(UsageError, match=r"where guessing gives 0.100; train longer"):
        lower_bound([0.16, 0.17, 0.18, 0.19, 0.2], chance=0.1)


def test_runs_that_guess_give_no_bound() -> None:
    with pytest.raises(UsageError, match=r"no run is better than guessing \(0.100, 0.098\)"):
        lower_bound([0.1, 0.098], chance=0.1)
