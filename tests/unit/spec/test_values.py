"""The values of a spec, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from archcheck.spec.values import (
    TensorPattern,
    iter_dims,
    parse_amount,
    parse_build,
    parse_count,
    parse_macs,
    parse_memory,
    parse_output,
    parse_percent,
    parse_seconds,
    parse_size_list,
)


@pytest.mark.parametrize(
    ("text", "macs", "same"),
    [
        (416_520, 416_520, True), (416_520, 416_521, False), ("1.73 G", 1_734_890_496, True), ("2 k", 1_500, True),
        ("1.73 G", 1_735_000_001, False), ("1.73 G", 1_724_999_999, False), ("0.42M", 416_520, True),
    ],
)  # fmt: skip
def test_macs_are_equal_to_the_digits_written(text: str | int, macs: int, same: bool) -> None:
    assert parse_macs(text).matches(macs) is same


@pytest.mark.parametrize(
    ("text", "number", "same"),
    [
        ("1.5 GiB", 1_610_612_736, True), ("1.50 GiB", 1_615_981_445, True), ("1.50 GiB", 1_615_981_446, False),
        ("500 MB", 500_400_000, True), ("500 MB", 500_500_001, False), ("500 MiB", 500_400_000, False),
        (416_520, 416_520, True), (416_520, 416_521, False), ("12 B", 12, True), ("2 kB", 2_500, True),
    ],
)  # fmt: skip
def test_amounts_of_memory_are_equal_to_the_digits_written(text: str | int, number: int, same: bool) -> None:
    assert parse_amount(text).matches(number) is same


def test_an_amount_of_memory_keeps_unit_and_decimals() -> None:
    assert parse_amount("1.50 GiB").reformat(2 * 2**30) == "2.00 GiB"
    assert parse_amount("12 B").reformat(13) == "13 B"
    assert parse_amount(12).reformat(1300) == "1_300"
    assert parse_amount("1.9 GB").reformat(77_736) == "77_736"
    assert parse_amount("1.9 GB").reformat(50_000_001) == "0.1 GB"


def test_macs_keep_unit_and_decimals() -> None:
    written = parse_macs("1.70 G")
    assert written.value == Decimal(1_700_000_000)
    assert written.reformat(1_814_073_344) == "1.81 G"


def test_macs_without_a_unit_stay_whole() -> None:
    assert parse_macs(416_520).reformat(1_234_567) == "1_234_567"


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (parse_percent, "15%", 0.15),
        (parse_percent, "7.5 %", 0.075),
        (parse_seconds, 90, 90.0),
        (parse_seconds, "60 s", 60.0),
        (parse_seconds, "1.5min", 90.0),
        (parse_seconds, "2 h", 7200.0),
        (parse_memory, "500 MiB", 524_288_000),
        (parse_memory, "1.5GiB", 1_610_612_736),
        (parse_count, 0, 0),
        (parse_size_list, 7, (7,)),
        (parse_size_list, [224, 96], (224, 96)),
        (parse_build, "nets:Net", "nets:Net"),
    ],
)
def test_values_are_parsed(parse: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("parse", "values", "message"),
    [
        (
            parse_percent,
            ["0%", "100%", "15", "1 5%", "%", 0.15, None],
            "expected a percentage between 0% and 100%, such as 15%, found ",
        ),
        (
            parse_seconds,
            ["0 s", 0, -1, "1 day", "60", True, "1e3 s"],
            "expected a duration such as 60 s or 2 min, found ",
        ),
        (
            parse_memory,
            ["0 GiB", "2 GB", "2 gib", "1_000 MiB", 5, "GiB"],
            "expected an amount of memory such as 2 GiB or 500 MiB, found ",
        ),
        (
            parse_macs,
            ["1.5", "1.73 GB", "1,000", -1, True, None],
            "expected a count of multiply-adds such as 1.73 G or 416_520, found ",
        ),
        (parse_count, [1.0, -1.5, True, "5"], "expected a whole number such as 74_112, found "),
        (parse_count, [-1], "expected a whole number of at least 0, found "),
        (parse_size_list, [0, [1, 0], [True], "a", [1.5]], "expected a whole number of at least 1, found "),
        (parse_size_list, [[]], "expected at least one size, such as [224, 96]"),
        (parse_build, [3, None], "expected a build target such as mypackage.nets:resnet18, found "),
        (parse_build, ["nets"], "expected module:callable, path/to/file.py:callable, "),
        (parse_output, [None], "expected a shape such as [B, 10], found nothing"),
        (parse_output, [3, "B"], "expected a shape such as [B, 64, H/4, W/4], found "),
        (parse_output, [["B", "..."], ["..."], [["B"], [2], "..."]], "`...` takes one whole shape before it, as in [["),
        (parse_output, [[["B"], "x! times"]], "'x!': expected "),
        (parse_output, [[["B"], "... times"]], "expected a shape such as [B, 64, H/4, W/4], found '... times'"),
        (parse_output, [[True, 2]], "expected a size or a dimension such as 64, B or H/4, found true"),
    ],
)
def test_other_values_say_what_was_expected(parse: Callable[[Any], Any], values: list[Any], message: str) -> None:
    for value in values:
        with pytest.raises(PydanticCustomError, match=f"^{re.escape(message)}"):
            parse(value)


def test_an_error_leads_to_its_place_inside_the_value() -> None:
    with pytest.raises(PydanticCustomError, match=r"^'H/': expected ") as caught:
        parse_output({"a": [["B", 3], ["B", "H/"]]})
    assert caught.value.context is not None
    assert caught.value.context["path"] == ("a", 1, 1)


def test_outputs_are_nested_as_they_are_returned() -> None:
    pattern = parse_output([["B", "H/4"], [["2", "T"], "T/2 times"], [[[7], "..."], None], []])
    assert [(path, str(dim)) for path, dim in iter_dims(pattern)] == [
        ((0, 0), "B"),
        ((0, 1), "H/4"),
        ((1, 0, 0), "2"),
        ((1, 0, 1), "T"),
        ((1, 1), "T/2"),
        ((2, 0, 0, 0), "7"),
    ]


def test_a_pattern_has_sizes_at_sizes() -> None:
    pattern = parse_output(["B", 64, "H/4"])
    assert isinstance(pattern, TensorPattern)
    assert pattern.evaluate({"B": 2, "H": 224}) == (2, 64, 56)
