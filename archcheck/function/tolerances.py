"""The digits that digests are recorded with, and how far they may differ, by the precision of the computation."""

from __future__ import annotations

from typing import Final

TOLERANCE: Final = {"float64": 3e-8, "float32": 3e-3}  # relative, of a digest
DIGITS: Final = {"float64": 9, "float32": 4}
INSIDE_TOLERANCE: Final = {"float64": 1e-6, "float32": 3e-3}  # relative, of numbers with so few digits as these:
INSIDE_DIGITS: Final = {"float64": 7, "float32": 4}  # of numbers that only serve to name a layer
READABLE_DIGITS: Final = 4  # of numbers for people to read
