"""The digits that digests are recorded with, and how far they may differ, by the precision of the computation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TOLERANCE: Final = {"float64": 3e-8, "float32": 3e-3}  # relative, of a digest
DIGITS: Final = {"float64": 9, "float32": 4}
READABLE_DIGITS: Final = 4  # of numbers for people to read

_FORMER_INSIDE_DIGITS: Final = 7  # of the numbers inside layers in specs that an earlier version has recorded
_FORMER_INSIDE_TOLERANCE: Final = 1e-6


def inside_tolerance(recorded: Iterable[float], precision: str) -> float:
    """Return how far the numbers inside layers, which only serve to name a layer, may differ from those recorded."""
    is_former = all(_num_digits(number) <= _FORMER_INSIDE_DIGITS for number in recorded)
    return max(TOLERANCE[precision], _FORMER_INSIDE_TOLERANCE) if is_former else TOLERANCE[precision]


def _num_digits(number: float) -> int:
    return len(f"{number:.14e}".partition("e")[0].replace(".", "").strip("-0"))
