"""The values that an input may have."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from archcheck.errors import SpecError
from archcheck.spec.domains import Domain, has_whole_bounds, parse_domain
from archcheck.spec.spec_file import parse_spec


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ({"between": [0, 1]}, Domain(at_least=0, at_most=1)),
        ({"above": 0}, Domain(above=0)),
        ({"at_least": 1, "below": 5.5}, Domain(at_least=1, below=5.5)),
        ({"sorted": True, "at_most": -2}, Domain(order="ascending", at_most=-2)),
        ({"sorted": "descending"}, Domain(order="descending")),
        ({"unique": True, "sorted": False}, Domain(unique=True)),
        ({"sums_to": 1}, Domain(sums_to=1.0)),
        ({"one_of": [1, 0.5]}, Domain(one_of=(1, 0.5))),
        ({"below": None}, Domain()),
    ],
)
def test_keys_beside_a_shape_are_a_domain(value: dict[str, Any], domain: Domain) -> None:
    assert parse_domain(value, "float32", ()) == domain


@pytest.mark.parametrize(
    ("domain", "whole"),
    [
        (Domain(below=10), (0, 9)),
        (Domain(at_least=1, at_most=4), (1, 4)),
        (Domain(above=0, below=2.5), (1, 2)),
        (Domain(at_least=0.5, at_most=3.5), (1, 3)),
        (Domain(at_least=-3, below=0), (-3, -1)),
        (Domain(at_least=1), (1, 4)),
    ],
)
def test_whole_numbers_lie_between_the_bounds(domain: Domain, whole: tuple[int, int]) -> None:
    assert domain.whole_numbers() == whole


@pytest.mark.parametrize(
    ("domain", "ends"),
    [
        (Domain(at_least=0, at_most=1), (0, 1)),
        (Domain(above=0), (0, 2)),
        (Domain(below=0), (-2, 0)),
        (Domain(at_least=5, below=6.5), (5, 6.5)),
    ],
)
def test_real_numbers_lie_between_the_bounds(domain: Domain, ends: tuple[float, float]) -> None:
    assert domain.real_numbers() == ends


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ({"below": 100}, True), ({"below": "T"}, True), ({"between": [1, "T"]}, True), ({"below": 1.5}, False),
        ({"between": [0, 1]}, False), ({"above": 0}, False), ({}, False), ({"between": 3}, False),
    ],
)  # fmt: skip
def test_which_bounds_speak_of_whole_numbers(value: dict[str, Any], whole: bool) -> None:
    assert has_whole_bounds(value) is whole


SUM_ALONE = "positive numbers with a sum, and nothing else"


@pytest.mark.parametrize(
    ("value", "dtype", "message", "path"),
    [
        ({"between": 3}, "float32", "expected the smallest and the largest value, as in [0, 1], found 3", ("between",)),
        (
            {"between": [0, None]}, "float32", "expected a number, or a dimension such as T, found nothing",
            ("between", 1),
        ),
        ({"between": [0, 1], "above": 0}, "float32", "`between` is both bounds already: leave out above", ("above",)),
        ({"above": 0, "at_least": 1}, "float32", "one bound is enough: at_least or above", ("above",)),
        ({"below": "T*"}, "int64", "'T*': expected a whole number, a name,", ("below",)),
        ({"below": True}, "int64", "expected a number, or a dimension such as T, found true", ("below",)),
        ({"between": [1, 0]}, "float32", "no number is from 1 to 0", ("between",)),
        ({"above": 2, "at_most": 2}, "float32", "no number is from 2 to 2", ("at_most",)),
        ({"above": 2, "below": 3}, "int64", "no whole number is from 3 to 2", ("below",)),
        ({"at_least": -1}, "uint8", "uint8 is from 0 to 255, not from -1 to 2", ("at_least",)),
        ({"below": 300}, "uint8", "uint8 is from 0 to 255, not from 0 to 299", ("below",)),
        ({"between": [-200, 0]}, "int8", "int8 is from -128 to 127, not from -200 to 0", ("between",)),
        ({"below": 10**23}, "int64", "int64 is from -9.22337e+18 to 9.22337e+18, not from 0 to 1e+23", ("below",)),
        ({"at_least": 69000}, "float16", "float16 is from -65504 to 65504, not from 69000 to 69002", ("at_least",)),
        ({"one_of": [1, 10**20]}, "int64", "int64 is from -9.22337e+18 to 9.22337e+18", ("one_of", 1)),
        ({"sorted": "up"}, "float32", "expected true or descending, found 'up'", ("sorted",)),
        ({"unique": 1}, "float32", "expected true or false, found 1", ("unique",)),
        ({"sums_to": 0}, "float32", "expected a number above 0, such as 1, found 0", ("sums_to",)),
        ({"sums_to": 1, "above": 0}, "float32", f"{SUM_ALONE}: leave out above", ("sums_to",)),
        ({"sums_to": 1}, "int64", f"{SUM_ALONE}: int64 can't: dtype: float32", ("sums_to",)),
        ({"one_of": []}, "int64", "expected a list of values such as [1, 2, 5], found an empty list", ("one_of",)),
        ({"one_of": [1, 2.5]}, "int64", "expected a whole number, found 2.5", ("one_of", 1)),
        ({"one_of": ["a"]}, "float32", "expected a number, found 'a'", ("one_of", 0)),
        ({"one_of": [1], "below": 3}, "int64", "the values are listed: leave out below", ("below",)),
        ({"below": 1}, "bool", "inputs of bool have no below: only whole and real numbers are bounded", ("below",)),
        ({"sorted": True}, "complex64", "inputs of complex64 have no sorted: only whole and real numbers", ("sorted",)),
    ],
)  # fmt: skip
def test_what_is_no_domain_says_what_was_expected(
    value: dict[str, Any], dtype: str, message: str, path: tuple[str | int, ...]
) -> None:
    with pytest.raises(PydanticCustomError, match=f"^{re.escape(message)}") as caught:
        parse_domain(value, dtype, ())
    assert caught.value.context is not None
    assert caught.value.context["path"] == path


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ("between: [6, T]", "spec.yaml:2: no whole number is from 6 to 5 at B=2, T=5"),
        ("below: 7, unique: true", "spec.yaml:2: unique: 9 numbers of 7 at B=2, T=9"),
        ("below: T-7", "spec.yaml:2: T-7 is -2 at T=5: expected at least 1"),
        ("below: V", "spec.yaml:2: free dimension V has no sizes; expected sizes: {V: [224, 96]}"),
    ],
)
def test_bounds_that_are_dimensions_are_checked_at_every_size(domain: str, message: str) -> None:
    text = f"build: m:f\ninput: {{shape: [B, T], dtype: int64, {domain}}}\nsizes: {{T: [9, 5]}}\n"
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "spec.yaml")
    assert message in [f"{problem.loc}: {problem.message}" for problem in caught.value.problems]
