"""How an input is changed where a layer refused it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from archcheck.discovery.hints import Hints
from archcheck.discovery.layers import intake_of
from archcheck.discovery.mends import alike_too, mended
from archcheck.structure.records import Crash


def changes(value: Any, error: str, layer: nn.Module | None = None, **hints: int) -> list[Any]:
    intake = intake_of("layer", layer) if layer is not None else None
    return list(mended(value, Crash("layer", error), intake, Hints(hints), lambda name: [["B", 2], None]))


PRODUCT = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x14 and 7x16)"


def test_what_a_layer_takes_is_divided_among_what_was_put_side_by_side() -> None:
    found = changes([["B", 7], ["B", 7]], PRODUCT, context=3)
    assert found[0] == [["B", 3], ["B", 4]]  # a number that the network speaks of comes first
    assert found[1] == [["B", 4], ["B", 3]]


def test_a_vector_that_has_to_be_whole_may_be_the_number_of_a_choice() -> None:
    error = "RuntimeError: gather(): Expected dtype int32/int64 for index"
    assert changes([["B", 8], ["B", 4]], error)[2:] == [
        [["B", 8], {"shape": ["B"], "dtype": "int64", "below": 4}],
        [["B", 8], {"shape": ["B", 4], "dtype": "int64", "below": 2}],
    ]


def test_what_is_named_alike_is_changed_too() -> None:
    pair = [{"image0": ["B", 4], "image1": ["B", 4], "scale0": ["B", 4]}]
    changed = [{"image0": ["B", 4, 9], "image1": ["B", 4], "scale0": ["B", 4]}]
    assert alike_too(pair, changed) == [{"image0": ["B", 4, 9], "image1": ["B", 4, 9], "scale0": ["B", 4]}]


def test_the_size_that_was_refused_is_replaced() -> None:
    assert changes(["B", 16, 14], PRODUCT)[0] == ["B", 16, 7]


def test_the_sides_of_an_image_stay_equal() -> None:
    found = changes(["B", 3, 14, 14], PRODUCT)
    assert found
    assert all(value[2] == value[3] for value in found if len(value) == 4)


def test_names_are_added_to_a_map() -> None:
    assert changes([{"literal": {}}], "KeyError: 'past'") == [[{"past": ["B", 2]}], [{"past": None}]]
    assert changes([{"past": ["B", 5]}], "KeyError: 'mask'")[0] == [{"past": ["B", 5], "mask": ["B", 5]}]


@pytest.mark.parametrize(
    ("value", "rank", "expected"),
    [(["B", 8], 3, ["B", 16, 8]), (["B", 16, 8], 2, ["B", 8]), ({"shape": ["B"], "dtype": "int64"}, 2, ["B", 16])],
)
def test_dimensions_are_added_and_taken_away(value: Any, rank: int, expected: list[Any]) -> None:
    found = changes(value, f"ValueError: not enough values to unpack (expected {rank}, got 9)")[0]
    assert (found["shape"] if isinstance(found, dict) else found) == expected


def test_indices_stay_below_the_rows_of_their_table() -> None:
    table = nn.Embedding(5, 2)
    ids = {"shape": ["B", 4], "dtype": "int64", "below": 9}
    assert changes(ids, "IndexError: index out of range in self", table)[0] == {**ids, "below": 5}
    found = changes(["B", 4], "IndexError: index out of range in self", table)[0]
    assert found == {"shape": ["B", 4], "one_of": [0.0, 1.0, 2.0]}


def test_an_error_that_tells_nothing_changes_nothing() -> None:
    assert changes(["B", 4], "AssertionError") == []


def test_words_of_the_notation_are_no_names() -> None:
    """A map of `shape` would be a tensor: this error was once answered with {"ids": ["B", 4], "shape": 1}."""
    assert changes({"ids": ["B", 4]}, "AttributeError: no attribute 'shape'") == []
