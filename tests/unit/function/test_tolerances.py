"""How exactly numbers are compared."""

from __future__ import annotations

import pytest

from archcheck.function.tolerances import inside_tolerance


@pytest.mark.parametrize(
    ("recorded", "precision", "expected"),
    [
        ([24.98853, 7.865488, 0.5], "float64", 1e-6),  # as an earlier version wrote them
        ([24.98853, 7.86548812], "float64", 3e-8),
        ([-1.23456789e-05], "float64", 3e-8),
        ([24.99], "float32", 3e-3),
    ],
)
def test_numbers_inside_are_compared_as_exactly_as_they_were_written(
    recorded: list[float], precision: str, expected: float
) -> None:
    assert inside_tolerance(recorded, precision) == expected
