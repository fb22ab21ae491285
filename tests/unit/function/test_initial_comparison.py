"""How weights start: what chance does is no difference, and what an initialiser does is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from archcheck.function.initial_comparison import (
    Start,
    StartDifference,
    compare_starts,
    confirmed,
    difference,
    start_mismatches,
)

# Of 4,608 numbers (a convolution of 16 to 32 channels): uniform and normal ones of standard deviation 0.1, and normal
# ones that are cut off at two standard deviations, of 0.88 times that; the largest is what is expected of so many.
UNIFORM = Start((32, 16, 3, 3), 4608, 0.0, 0.1, math.sqrt(3), 1.8)
NORMAL = Start((32, 16, 3, 3), 4608, 0.0, 0.1, 3.7, 3.0)
TRUNCATED = Start((32, 16, 3, 3), 4608, 0.0, 0.1, 2.27, 2.37)


@pytest.mark.parametrize("start", [NORMAL, TRUNCATED])
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        # Standard errors by hand: of the mean 0.1/sqrt(4608) = 0.00147, of the standard deviation 0.1/sqrt(2*4608) =
        # 0.00104; the mean of three builds has its own, so that 6 of them are 6.93.
        ({"mean": 0.0098}, None),
        ({"mean": 0.0106}, "mean"),
        ({"std": 0.1068}, None),
        ({"std": 0.1080}, "standard deviation"),
        ({"std": 0.0925}, "standard deviation"),
        ({"std": 0.1 * math.sqrt(2)}, "standard deviation"),  # the gain of a ReLU
        ({"std": 0.0, "mean": 0.0, "largest": 0.0}, "constant"),
        ({"shape": (16, 32, 3, 3)}, "shape"),
    ],
)
def test_moments_are_held_to_six_standard_errors(start: Start, changes: Mapping[str, Any], what: str | None) -> None:
    assert difference(start, replace(start, **changes)) == what


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        # The fourth moment of a uniform distribution is 1.8, and 2 is taken for it: the standard error of the standard
        # deviation is 0.1/sqrt(4*4608) = 0.00074, that of the variance twice as much, relative to it.
        ({"mean": 0.0098}, None),
        ({"mean": 0.0106}, "mean"),
        ({"std": 0.1047}, None),
        ({"std": 0.1052}, "standard deviation"),
        ({"std": 0.0952}, None),
        ({"std": 0.0948}, "standard deviation"),
    ],
)
def test_what_is_uniform_strays_less(changes: Mapping[str, Any], what: str | None) -> None:
    assert difference(UNIFORM, replace(UNIFORM, **changes)) == what


@pytest.mark.parametrize(
    ("shape", "number", "largest", "what"),
    [
        # A sample's mean is off by 6.93 of 0.1/sqrt(96) = 0.0102 at most, and the largest by as much.
        ((12, 8), 96, 2.3, None),
        ((12, 8), 96, 2.7, "largest"),  # of so many normal numbers it is 2.6 on average
        ((64, 8), 512, 2.0, None),
        ((64, 8), 512, 2.1, "largest"),
        ((96,), 96, 2.7, None),  # several that are put together may be drawn in several ways
    ],
)
def test_few_numbers_with_a_bound_tell_that_they_have_none(
    shape: tuple[int, ...], number: int, largest: float, what: str | None
) -> None:
    uniform = Start(shape, number, 0.0, 0.1, math.sqrt(3), 1.8)
    assert difference(uniform, replace(uniform, largest=largest, kurtosis=3.0)) == what


@pytest.mark.parametrize("recorded", [UNIFORM, NORMAL, TRUNCATED])
@pytest.mark.parametrize("now", [UNIFORM, NORMAL, TRUNCATED])
def test_the_largest_tells_one_kind_of_distribution_from_another(recorded: Start, now: Start) -> None:
    assert difference(recorded, now) == (None if now is recorded else "largest")


def test_the_largest_of_normal_numbers_may_be_anywhere_where_they_are() -> None:
    # Of 4,608 normal numbers the largest is 3.2 to 6 with all but certainty, and 2.6 in e-19 of all cases.
    for largest in (3.2, 4.5, 6.0):
        assert difference(NORMAL, replace(NORMAL, largest=largest)) is None
    for largest in (2.6, 9.0):
        assert difference(NORMAL, replace(NORMAL, largest=largest)) == "largest"


def test_a_few_numbers_are_given_more_room_and_very_few_tell_nothing() -> None:
    few = Start((40,), 40, 0.0, 0.1, 2.0)
    assert difference(few, replace(few, std=0.2)) is None
    assert difference(few, replace(few, std=0.5)) == "standard deviation"
    assert difference(replace(few, shape=(12,), count=12), Start((12,), 12, 0.0, 5.0, 2.0)) is None


def test_heavy_tails_stray_as_far_as_their_largest_number_lets_them() -> None:
    # The kurtosis of such numbers is at most the square of the largest: 900; the standard error of the standard
    # deviation is then 0.22 of it.
    heavy = Start((4608,), 4608, 0.0, 0.1, 30.0, 60.0)
    assert difference(heavy, replace(heavy, std=0.2, largest=9.0, kurtosis=12.0)) is None
    assert difference(heavy, replace(heavy, std=0.6)) == "standard deviation"


RECORDED = {"a.weight": UNIFORM, "b.weight": replace(UNIFORM, std=0.2), "c.weight": Start((10, 10), 100, 0.0, 1.0, 2.5)}


def compared(now: Mapping[str, Start]) -> list[tuple[str, str, str]]:
    return [(one.recorded, one.name, one.what) for one in compare_starts(RECORDED, now)]


def test_other_names_and_another_order_are_no_difference() -> None:
    a, b, c = RECORDED.values()
    assert compared({"x.weight": b, "y.weight": a, "z.weight": c}) == []
    assert compared({"a.weight": b, "b.weight": a, "c.weight": c}) == []


def test_a_parameter_that_starts_otherwise_is_named() -> None:
    a, b, c = RECORDED.values()
    wrong = replace(a, std=0.3)
    assert compared({"a.weight": wrong, "b.weight": b, "c.weight": c}) == [
        ("a.weight", "a.weight", "standard deviation")
    ]
    assert compared({"x.weight": wrong, "b.weight": b, "c.weight": c}) == [
        ("a.weight", "x.weight", "standard deviation")
    ]


def test_another_structure_is_not_told_here() -> None:
    a, b, _ = RECORDED.values()
    assert compared({"a.weight": a, "b.weight": b}) == []
    assert compared({"a.weight": a, "b.weight": b, "c.weight": Start((20, 10), 200, 0.0, 3.0, 2.5)}) == []


def test_the_first_few_are_told_in_full_and_the_others_by_name() -> None:
    recorded = {f"{i}.weight": UNIFORM for i in range(6)}
    now = {name: replace(UNIFORM, std=0.2) for name in recorded}
    found = start_mismatches(compare_starts(recorded, now), recorded, now, ())
    assert [one.subject for one in found] == ["0.weight", "1.weight", "2.weight"]
    assert found[0].keys == ("lock", "initial", "0.weight")
    assert found[0].problem == "starts with another standard deviation"
    assert found[0].notes == (("note", "the standard deviation is 2 times as large"),)
    assert found[2].notes[-1] == ("also", "3.weight, 4.weight, 5.weight")


def test_what_differs_under_one_seed_alone_is_chance() -> None:
    first, other = StartDifference("a", "a", "largest"), StartDifference("b", "c", "mean")
    assert confirmed([first, other], [StartDifference("b", "b", "standard deviation")]) == [other]
    assert confirmed([first], []) == []
