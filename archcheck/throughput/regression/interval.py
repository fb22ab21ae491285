"""The confidence interval of a ratio of times, and the verdict on a limit. Pure.

A ratio is measured in a few processes, each of which gives one value: the median over many turns. Within a process
the median is nearly exact; processes differ in how they happen to lie in memory. So the values are few and nearly
normal, and Student's interval fits them, with a spread assumed beforehand so that two values which happen to agree
prove nothing: that is the conjugate prior of a normal sample's variance (Gelman et al., Bayesian Data Analysis, 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, mean
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["over", "under", "open"]

CONFIDENCE = 0.99
PRIOR_STD = 0.015  # of a logarithm: processes that run the same code differ by 0.5 to 1 %, and more on noisy systems
PRIOR_FREEDOM = 6  # the number of values that the assumption counts as


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio with its confidence interval; 1.1 is ten percent more."""

    low: float
    ratio: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3f} ({self.low:.3f} to {self.high:.3f})"


def ratio_interval(log_ratios: Sequence[float]) -> Interval:
    """Return the interval of a ratio from its logarithms, one for each process, one at least."""
    return _interval(mean(log_ratios), _spread(log_ratios), 1 / len(log_ratios), len(log_ratios) - 1)


def change_interval(now: Sequence[float], then: Sequence[float]) -> Interval:
    """Return the interval of `now` over `then`, both logarithms of ratios, one for each process."""
    freedom = len(now) + len(then) - 2
    return _interval(mean(now) - mean(then), _spread(now) + _spread(then), 1 / len(now) + 1 / len(then), freedom)


def judge(interval: Interval, limit: float) -> Verdict:
    """Whether a ratio is over a limit or under it; open where the interval holds the limit."""
    if interval.low > limit:
        return "over"
    return "under" if interval.high <= limit else "open"


def _interval(center: float, squares: float, share: float, freedom: int) -> Interval:
    """Return Student's interval about `center`.

    squares: the sum of squared deviations from the mean. share: the variance of the mean over that of a value.
    """
    freedom += PRIOR_FREEDOM
    variance = (PRIOR_FREEDOM * PRIOR_STD**2 + squares) / freedom
    half = student_quantile((1 + CONFIDENCE) / 2, freedom) * math.sqrt(variance * share)
    return Interval(math.exp(center - half), math.exp(center), math.exp(center + half))


def _spread(values: Sequence[float]) -> float:
    middle = mean(values)
    return math.fsum((value - middle) ** 2 for value in values)


def student_quantile(probability: float, freedom: int) -> float:
    """Return Student's t, to half a percent from 6 degrees of freedom on (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(probability)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
