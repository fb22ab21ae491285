"""Plain YAML scalars to values."""

from __future__ import annotations

import math

import pytest

from archcheck.text.yaml_scalars import resolve_scalar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("74_112", 74112),
        ("1_000.5", 1000.5),
        ("1e-3", 0.001),
        ("1E6", 1e6),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e999", math.inf),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    value = resolve_scalar(text)
    assert value == expected
    assert type(value) is type(expected)


def test_nan_is_a_number() -> None:
    value = resolve_scalar(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text",
    [
        *("on", "off", "yes", "No", "y", "tRue"),
        *("_1", "1_", "1__0", "1_.5", "0b1", "-0x1F", "0x", "0o8", "1e", "e5", ".", "inf", "nan"),
        *("1:30", "2024-01-01", "1.73 G", "15%", "H/4", "<<", "="),
    ],
)
def test_everything_else_is_text(text: str) -> None:
    assert resolve_scalar(text) == text


def test_an_integer_has_at_most_300_characters() -> None:
    assert resolve_scalar("1" * 300) == int("1" * 300)
    with pytest.raises(ValueError, match=r"^an integer of 301 characters: expected at most 300$"):
        resolve_scalar("1" * 301)
