"""A spec's `function` section, made from a record."""

from __future__ import annotations

import math

import pytest

from archcheck.function.section import function_section, rounded
from tests.unit.function.test_comparison import record


def test_numbers_have_as_many_digits_as_mean_something() -> None:
    numbers = {"train": 1 / 3, "mean": 2 / 3, "eval": math.nan}
    assert rounded(numbers, "float64")["train"] == pytest.approx(1 / 3, rel=1e-8)
    assert all(len(str(number)) <= 12 for number in rounded(numbers, "float64").values())
    assert rounded(numbers, "float32") == {"mean": 0.6667, "train": 0.3333}
    assert "eval" not in rounded(numbers, "float64")


def test_a_section_has_what_is_wanted_and_the_output() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("c", {}), ("", {"eval": 3.0}))
    section = function_section(now, {"at": {"B": 4}}, ["b", "c"])
    assert section["at"] == {"B": 4}
    assert list(section["layers"]) == ["b"]
    assert section["layers"]["b"]["eval"] == 2
    assert section["output"] == {"eval": 3.0}
