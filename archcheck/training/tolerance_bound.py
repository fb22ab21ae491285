"""A minimum accuracy from a few runs: the normal one-sided tolerance bound, in plain arithmetic."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist, mean, stdev

from archcheck.errors import UsageError

COVERAGE = 0.99  # the share of all sound runs that reaches the minimum,
CONFIDENCE = 0.95  # with this probability over the choice of the few runs that it was set from
# Runs that agree by chance don't prove that there is no spread: it is taken to be a tenth of a point at least.
LEAST_STD = 0.001

_STEPS = 1000  # from 0 to 1, of a minimum: three decimals
_STRIPS = 4000  # of the numerical integral: nine digits of the distribution function
_BISECTIONS = 60


@functools.lru_cache(maxsize=64)
def one_sided_factor(num_samples: int, coverage: float = COVERAGE, confidence: float = CONFIDENCE) -> float:
    """Compute the exact normal one-sided tolerance factor k.

    With probability `confidence`, at least the share `coverage` of a normal population lies above mean − k·std of
    `num_samples` samples of it.

    Raises:
        UsageError: fewer than two samples, which have no spread.
    """
    if num_samples < 2:
        raise UsageError(f"a minimum is set from the spread of 2 runs at least (5 are better), found {num_samples}")
    root = math.sqrt(num_samples)
    shift = NormalDist().inv_cdf(coverage) * root
    low, high = 0.0, 1.0
    while _noncentral_t_cdf(high * root, num_samples - 1, shift) < confidence:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _noncentral_t_cdf(middle * root, num_samples - 1, shift) < confidence:
            low = middle
        else:
            high = middle
    return high


def _noncentral_t_cdf(t: float, freedom: int, shift: float) -> float:
    """Compute P(T ≤ t) of Student's t with `freedom` degrees of freedom and noncentrality `shift`.

    T is (Z + shift) / S with Z normal and S² = χ² / freedom, so it is P(Z ≤ t·s − shift) averaged over S.
    """
    phi = NormalDist().cdf
    return math.fsum(weight * phi(t * s - shift) for s, weight in _spread_weights(freedom))


@functools.lru_cache(maxsize=4)
def _spread_weights(freedom: int) -> tuple[tuple[float, float], ...]:
    """Cut the distribution of S = √(χ² / freedom) into strips: the middle and the probability of each."""
    top = 1 + 10 / math.sqrt(freedom)  # beyond it lies less than 1e-20
    width = top / _STRIPS
    log_scale = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    middles = [(strip + 0.5) * width for strip in range(_STRIPS)]
    logs = (log_scale + (freedom - 1) * math.log(s) - freedom * s * s / 2 for s in middles)
    return tuple((s, width * math.exp(log)) for s, log in zip(middles, logs, strict=True))


def spread(samples: Sequence[float], resolution: float = 0.0) -> float:
    """Return the samples' standard deviation, but `LEAST_STD` and `resolution` at least.

    `resolution` is the step that the samples come in: one example's share of the test set.
    """
    return max(stdev(samples), LEAST_STD, resolution)


def lower_bound(samples: Sequence[float], *, chance: float = 0.0, resolution: float = 0.0) -> float:
    """Return the minimum that 99 % of sound runs reach, with 95 % confidence, from 0 to 1, rounded down to 3 decimals.

    `samples` are the accuracies of runs that differ in their seed alone, `chance` that of guessing; for `resolution`
    see `spread`.

    Raises:
        UsageError: fewer than two samples, or samples so far apart that the bound would not be above chance.
    """
    factor = one_sided_factor(len(samples))
    exact = mean(samples) - factor * spread(samples, resolution)
    bound = min(1.0, math.floor(exact * _STEPS) / _STEPS)
    if bound <= max(chance, 0.0):
        raise UsageError(_no_bound(samples, exact, chance))
    return bound


def _no_bound(samples: Sequence[float], exact: float, chance: float) -> str:
    listed = ", ".join(f"{sample:.3f}" for sample in samples)
    if max(samples) <= max(chance, 0.0):
        return f"no run is better than guessing ({listed}): there is no minimum to set; is the recipe right?"
    return (
        f"the runs differ too much ({listed}): no minimum separates sound from broken, as it would be {exact:.3f} "
        f"where guessing gives {chance:.3f}; train longer, run more --seeds or choose a tamer recipe"
    )
