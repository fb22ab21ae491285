"""How weights start, now and as it was recorded: what a build draws differs by chance, and by no more than that. Pure.

A parameter's numbers are told by their moments. Each has a standard error that follows from how many numbers there are,
so that two builds of one network differ by more than what is allowed once in hundreds of millions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, pvariance
from typing import Any, Final

from archcheck.findings import Edit, Keys, Mismatch
from archcheck.spec.lock import LOCK
from archcheck.text.words import listed

STANDARD_ERRORS: Final = 6.0  # that two builds may be apart
BUILDS: Final = 3  # at least, whose mean is recorded
_FEW: Final = 64  # numbers, of which a moment strays farther than its standard error says
_FEWEST: Final = 16  # of which nothing can be told
_RARE: Final = 1e-9  # what doesn't happen by chance
_SURE: Final = 1e-6  # what is taken for no chance when it's recorded
_MOST: Final = 20.0  # -log of _RARE: so many numbers beyond the largest one are expected of no normal distribution
_SHOWN: Final = 3  # in full
_NAMED: Final = 8
PROBLEMS: Final = {
    "constant": "starts from one value, where it was drawn",
    "mean": "starts around another mean",
    "standard deviation": "starts with another standard deviation",
    "largest": "starts from another kind of distribution",
}
_UNIFORM: Final = 1.8  # largest magnitude over standard deviation, of which sqrt(3) is a uniform distribution's
_LIKE_UNIFORM: Final = (1.65, 1.85)  # the same of a sample of few numbers, whose standard deviation strays
_LEAST_KURTOSIS: Final = 3.0  # that is taken for a distribution's, as a normal one has it
_LEAST_OF_UNIFORM: Final = 2.0  # the same of one that is like a uniform distribution, which has 1.8
_BELOW_BOUND: Final = 5.0  # numbers' worth that the largest of some builds may lie below the bound


@dataclass(frozen=True, slots=True)
class Start:
    """What a parameter or buffer starts from, or several small ones together.

    Attributes:
        shape: of the one; of several, how many numbers they have.
        count: different numbers that the moments are of.
        mean: of them.
        std: their standard deviation.
        largest: the largest distance from the mean over the standard deviation; 0 where that is 0.
        kurtosis: the fourth moment over the standard deviation's fourth power: 3 of a normal distribution.
    """

    shape: tuple[int, ...]
    count: int
    mean: float
    std: float
    largest: float
    kurtosis: float = 3.0

    @staticmethod
    def from_plain(numbers: Mapping[str, Any]) -> Start:
        """Return what a lock has of a parameter."""
        return Start(**{**numbers, "shape": tuple(numbers["shape"])})

    def __str__(self) -> str:
        if not self.std:
            return f"{self.mean:.4g} everywhere"
        return f"mean {self.mean:.3g}, standard deviation {self.std:.4g}, largest {self.largest:.3g} of these"


@dataclass(frozen=True, slots=True)
class StartDifference:
    """A parameter that starts otherwise: its recorded name, its name now, and what differs."""

    recorded: str
    name: str
    what: str


def compare_starts(recorded: Mapping[str, Start], now: Mapping[str, Start]) -> list[StartDifference]:
    """Return the parameters that start otherwise than they were recorded.

    Those of one name and shape are compared; else one of the same shape is looked for that starts so, as names and
    order are no difference. Where there is none of the shape, the structure is another, which isn't told here.
    """
    kept = {name for name in recorded if name in now and difference(recorded[name], now[name]) is None}
    free = {name: start for name, start in now.items() if name not in kept}
    lost = []
    for name, start in recorded.items():
        if name in kept:
            continue
        found = next((other for other, one in free.items() if difference(start, one) is None), None)
        if found is None:
            lost.append(name)
        else:
            del free[found]
    return list(_told(lost, recorded, free))


def confirmed(found: Sequence[StartDifference], again: Sequence[StartDifference]) -> list[StartDifference]:
    """Return what starts otherwise under another seed, too.

    Samplers that clamp `erfinv` of a uniform number, for a truncated normal one, give one that is far out once in 2**24
    numbers: more often than 6 standard errors of normal ones are exceeded.
    """
    names = {one.recorded for one in again}
    return [one for one in found if one.recorded in names]


def start_mismatches(
    found: Sequence[StartDifference], recorded: Mapping[str, Start], now: Mapping[str, Start], edits: tuple[Edit, ...]
) -> list[Mismatch]:
    """Return what starts otherwise, the first few in full; `edits` accept all of it."""
    shown = [_mismatch(one, recorded[one.recorded], now[one.name], edits) for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        also = ("also", listed([one.name for one in found[_SHOWN:]], _NAMED))
        shown[-1] = replace(shown[-1], notes=(*shown[-1].notes, also))
    return shown


def _mismatch(found: StartDifference, recorded: Start, now: Start, edits: tuple[Edit, ...]) -> Mismatch:
    notes = [("recorded", f"as {found.recorded}")] if found.recorded != found.name else []
    if found.what == "standard deviation":
        notes.append(("note", f"the standard deviation is {now.std / recorded.std:.3g} times as large"))
    keys: Keys = (LOCK, "initial", found.recorded)
    return Mismatch(keys, found.name, PROBLEMS[found.what], str(recorded), str(now), None, tuple(notes), edits)


def _told(lost: Sequence[str], recorded: Mapping[str, Start], free: dict[str, Start]) -> Iterator[StartDifference]:
    for name in sorted(lost, key=lambda one: one not in free):  # what kept its name first
        shape = recorded[name].shape
        same = [other for other, one in free.items() if one.shape == shape]
        other = name if name in same else next(iter(same), None)
        if other is not None:
            what = difference(recorded[name], free.pop(other))
            yield StartDifference(name, other, what or "")


def difference(recorded: Start, now: Start, builds: int = BUILDS, errors: float = STANDARD_ERRORS) -> str | None:
    """Return in what one start differs from the mean of those of some builds; None where chance can make it so."""
    if recorded.shape != now.shape:
        return "shape"
    count = min(recorded.count, now.count)
    if count < _FEWEST:
        return None
    if not now.std:
        return "constant"
    apart = errors * math.sqrt(1 + 1 / builds) * (1.3 if count < _FEW else 1.0)
    if abs(now.mean - recorded.mean) > apart * max(recorded.std, now.std) / math.sqrt(count):
        return "mean"
    std_error = _std_error(recorded, now, count)
    if not _std_fits(recorded, now, apart * std_error):
        return "standard deviation"
    if _is_like_uniform(recorded) and not _is_within_bound(recorded, now, count, apart):
        return "largest"
    return None if _largest_fits(recorded, now, count, apart * std_error) else "largest"


def are_of_chance(starts: Sequence[Start]) -> bool:
    """Return whether the moments of several builds differ as those of so many independent numbers do."""
    first, degrees = starts[0], len(starts) - 1
    if median(_expected_beyond(one.largest, one.count) for one in starts) < _SURE:
        return False  # heavy tails, of which no moment tells
    std_error = _std_error(first, replace(first, kurtosis=median(one.kurtosis for one in starts)), first.count)
    means = pvariance([one.mean for one in starts]) / (max(one.std for one in starts) ** 2 / first.count)
    stds = pvariance([math.log(one.std) for one in starts]) / std_error**2
    limit = degrees + 3.1 * math.sqrt(2 * degrees) + 6.4  # over the 99.9 % point of chi-squared, for 2 to 7 degrees
    return len(starts) * max(means, stds) <= limit


def _is_like_uniform(start: Start) -> bool:
    """Return whether a matrix or a kernel starts from numbers up to a bound which many come near to.

    Of other parameters several may be put together, which are drawn in different ways.
    """
    low, high = _LIKE_UNIFORM
    return len(start.shape) > 1 and start.count >= _FEW and low < start.largest < high


def _std_fits(recorded: Start, now: Start, tolerance: float) -> bool:
    """Return whether a standard deviation is no further from the recorded one than chance may bring it.

    A variance can rise further than it can fall, and so is told by its logarithm. That of numbers with a bound can't.
    """
    ratio = now.std / recorded.std
    most = math.sqrt(1 + 2 * tolerance) if _is_like_uniform(recorded) else math.exp(tolerance)
    return math.exp(-tolerance) <= ratio <= most


def _is_within_bound(recorded: Start, now: Start, count: int, apart: float) -> bool:
    """Return whether the largest number lies within the bound of the others, but for where a sample has its mean."""
    bound = recorded.largest * recorded.std * (1 + _BELOW_BOUND / count)
    return now.largest * now.std <= bound + apart * recorded.std / math.sqrt(count)


def _std_error(recorded: Start, now: Start, count: int) -> float:
    """Return the standard error of the standard deviation, relative to it."""
    kurtosis = max(_LEAST_OF_UNIFORM if _is_like_uniform(recorded) else _LEAST_KURTOSIS, now.kurtosis)
    if _expected_beyond(recorded.largest, count) < _SURE:  # heavy tails: a sample's own kurtosis may be far too small
        kurtosis = max(kurtosis, recorded.largest**2)
    return math.sqrt((kurtosis - 1) / (4 * count))


def _expected_beyond(largest: float, count: int) -> float:
    """Return how many of some normal numbers are expected to be larger than the largest."""
    return count * math.erfc(largest / math.sqrt(2))


def _largest_fits(recorded: Start, now: Start, count: int, std_tolerance: float) -> bool:
    """Return whether the largest number lies as far out as one of the same kind of distribution may.

    What is cut off reaches its bound. Beyond the largest of normal numbers about one is expected, and never many. The
    largest of heavy tails may be anywhere.
    """
    spacing = (25 if recorded.largest < _UNIFORM else 200) / count
    if abs(now.largest / recorded.largest - 1) <= std_tolerance + spacing:
        return True
    before, after = _expected_beyond(recorded.largest, count), _expected_beyond(now.largest, count)
    return before < _SURE or (before <= _MOST and _RARE <= after <= 1.2 * _MOST)
