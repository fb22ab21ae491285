"""What a spec would say of values, and values as text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from archcheck.spec.values import parse_output
from archcheck.structure.patterns import format_pattern, format_sizes, format_value, infer_value
from archcheck.structure.records import (
    EmptyRecord,
    MappingRecord,
    OpaqueRecord,
    SequenceRecord,
    TensorRecord,
    ValueRecord,
)

SIZES = [{"B": 2, "H": 8}, {"B": 3, "H": 16}]


def tensors(*shapes: tuple[int, ...]) -> list[ValueRecord]:
    return [TensorRecord(shape) for shape in shapes]


def test_sizes_are_inferred_in_terms_of_the_free_dimensions() -> None:
    assert infer_value(tensors((2, 3, 4), (3, 3, 8)), SIZES, ["B", "H"]) == ["B", 3, "H/2"]


def test_containers_are_inferred_part_by_part() -> None:
    values: list[ValueRecord] = [
        MappingRecord(
            {
                "out": SequenceRecord((TensorRecord((size, 5)), OpaqueRecord("NoneType"))),
                "pair": SequenceRecord((TensorRecord((size,)), TensorRecord(())), ("left", "right")),
            }
        )
        for size in (2, 3)
    ]
    expected = {"out": [["B", 5], None], "pair": {"left": ["B"], "right": []}}
    assert infer_value(values, SIZES, ["B", "H"]) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([TensorRecord((2,)), OpaqueRecord("NoneType")], "the value is built differently at different sizes"),
        (
            [SequenceRecord((TensorRecord((2,)),) * n, ("a", "b")[:n]) for n in (1, 2)],
            "the names of the outputs depend",
        ),
        ([SequenceRecord(tuple(tensors((n,), (n + 1,))[:n])) for n in (1, 2)], "no arithmetic on the free dimensions"),
        ([MappingRecord({"a": TensorRecord((2,))}), MappingRecord({})], "the names of the outputs depend on the size"),
        (tensors((2,), (3, 1)), "the number of dimensions depends on the size"),
    ],
)
def test_values_that_no_pattern_fits(values: list[ValueRecord], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        infer_value(values, SIZES, ["B"])


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        ((2, 3), "[[7], B times]"),
        ((4, 8), "[[7], H/2 times]"),
        ((5, 5), "[[7], 5 times]"),
        ((2, 2), "[[7], [7]]"),
        ((0, 3), "[[7], ...]"),
        ((9, 1), "[[7], ...]"),
    ],
)
def test_a_list_of_equal_values_is_one_of_them_and_their_number(lengths: tuple[int, int], text: str) -> None:
    values: list[ValueRecord] = [
        SequenceRecord((TensorRecord((7,)),) * length) if length else EmptyRecord("[]") for length in lengths
    ]
    assert format_pattern(infer_value(values, SIZES, ["B", "H"])) == text
    assert format_pattern(parse_output(infer_value(values, SIZES, ["B", "H"]))) == text


def test_sizes_without_arithmetic_behind_them() -> None:
    sizes = [{"B": size} for size in (2, 3, 4)]
    with pytest.raises(ValueError, match="no arithmetic on the free dimensions gives these sizes"):
        infer_value(tensors((2, 5), (3, 97), (4, 11)), sizes, ["B"])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (None, "null"),
        (["B", 3, "H/2"], "[B, 3, H/2]"),
        ([["B"], None], "[[B], null]"),
        ({"out": ["B"], "a b": []}, '{out: [B], "a b": []}'),
    ],
)
def test_a_pattern_as_text(pattern: Any, text: str) -> None:
    assert format_pattern(pattern) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (TensorRecord((2, 3)), "[2, 3]"),
        (OpaqueRecord("DynamicCache"), "DynamicCache"),
        (SequenceRecord((TensorRecord((2,)), OpaqueRecord("int"))), "[[2], int]"),
        (SequenceRecord((TensorRecord((2,)),), ("left",)), "{left: [2]}"),
        (MappingRecord({"out": TensorRecord(())}), "{out: []}"),
    ],
)
def test_a_value_as_text(value: ValueRecord, text: str) -> None:
    assert format_value(value) == text


def test_sizes_as_text() -> None:
    assert format_sizes((2, 64)) == "[2, 64]"
