"""Numbers with their units, from text and to text."""

from __future__ import annotations

import pytest

from archcheck.errors import UsageError
from archcheck.text.units import (
    format_amount,
    format_bytes,
    format_count,
    format_gap,
    format_macs,
    format_macs_rate,
    format_rate,
    format_seconds,
    parse_bytes,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("2 min", (2.0, "min")), ("1.5s", (1.5, "s")), ("0 s", (0.0, "s")), ("2 h", None), ("2  min", None),
        ("-2 min", None), ("2", None), (" 2 s", None), ("1_0 s", None), (2, None), (None, None),
    ],
)  # fmt: skip
def test_a_number_and_its_unit(text: object, quantity: tuple[float, str] | None) -> None:
    assert parse_quantity(text, ("s", "min")) == quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1_000_000", 1_000_000),
        ("500 MB", 500_000_000),
        ("500mb", 500_000_000),
        ("2 GiB", 2_147_483_648),
        ("1.5 KiB", 1536),
        ("3k", 3000),
        ("1 TB", 1_000_000_000_000),
        (" 7 B ", 7),
    ],
)
def test_an_amount_of_memory_in_bytes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1 GB", "1 XB", "1 GiBs", "GB", "1e9", "nan", "_", "1.2.3 MB"])
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(UsageError, match="expected an amount of memory such as 500 MB or 2 GiB, found"):
        parse_bytes(text)


@pytest.mark.parametrize(("count", "text"), [(None, "-"), (0, "0"), (999, "999"), (11_178_378, "11_178_378")])
def test_a_count_is_grouped(count: int | None, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("macs", "text"),
    [(None, "-"), (0, "0"), (640, "640"), (7_680, "7.68 k"), (48_000, "48.0 k"), (416_520, "417 k"),
     (1_734_890_496, "1.73 G"), (12_340_000_000_000, "12.3 T")],
)  # fmt: skip
def test_multiply_adds_have_three_digits_and_a_unit(macs: int | None, text: str) -> None:
    assert format_macs(macs) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "-"), (12.34e9, "12.3 GMAC/s"), (4.56e12, "4.56 TMAC/s"), (78e6, "78 MMAC/s"), (999.0, "999 MAC/s"),
        (999.7e9, "1 TMAC/s"),
    ],
)  # fmt: skip
def test_a_rate_of_multiply_adds_has_three_digits_and_a_unit(rate: float | None, text: str) -> None:
    assert format_macs_rate(rate) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, "-"), (0.0, "-"), (0.5, "0.5"), (42.34, "42.3"), (99.96, "100"), (100.4, "100"), (999.6, "1_000"),
     (11_649.0, "11_600"), (1_234_567.0, "1_230_000")],
)  # fmt: skip
def test_a_rate_to_three_digits(rate: float | None, text: str) -> None:
    assert format_rate(rate) == text


@pytest.mark.parametrize(("gap", "text"), [(0.1, "0.100"), (0.0005, "0.001"), (0.0001, "0.0001"), (0.00049, "0.0005")])
def test_a_gap_never_vanishes(gap: float, text: str) -> None:
    assert format_gap(gap) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.25, "250 ms"), (1.0, "1.0 s"), (99.94, "99.9 s"), (180.0, "3 min"), (5_999.0, "100 min"),
     (7_200.0, "2.0 h")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (158_000_000, "158 MB"), (2_147_483_648, "2.15 GB")],
)
def test_amounts_of_memory(number: int | None, text: str) -> None:
    assert format_bytes(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (412, "412 B"),
        (2048, "2.000 KiB"),
        (2_064_888_422, "1.923 GiB"),
        (-12 * 2**20, "-12.00 MiB"),
        (1011 * 2**20, "1011 MiB"),
    ],
)
def test_amounts_of_memory_as_a_spec_has_them(number: int, text: str) -> None:
    assert format_amount(number) == text
