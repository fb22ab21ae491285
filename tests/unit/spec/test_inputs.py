"""Inputs: as a spec has them, and the tensors to make of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from archcheck.spec.inputs import (
    ForwardInput,
    TensorInput,
    input_names,
    iter_input_patterns,
    make_forward_input,
    parse_input,
)


def test_tensors_are_made_at_sizes() -> None:
    positional = parse_input([["B", "H"], {"shape": ["B"], "below": 9}])
    sizes = {"B": 2, "H": 8}
    assert make_forward_input(positional, sizes) == ForwardInput(
        (TensorInput((2, 8)), TensorInput((2,), "int64", 9)), sizes=sizes
    )
    named = parse_input({"x": ["B"], "more": {"y": [["H"], [4]]}})
    assert make_forward_input(named, sizes) == ForwardInput(
        (), {"x": TensorInput((2,)), "more": {"y": (TensorInput((8,)), TensorInput((4,)))}}, sizes
    )


def test_free_dimensions_come_in_the_order_in_which_they_appear() -> None:
    assert list(input_names(parse_input([["B", "W", 3], ["B", "H", "W"]]))) == ["B", "W", "H"]


def test_every_tensor_has_its_path() -> None:
    tree = parse_input({"x": ["B"], "more": [["B", 2], [3]]})
    assert [(path, len(pattern.dims)) for path, pattern in iter_input_patterns(tree)] == [
        (("x",), 1), (("more", 0), 2), (("more", 1), 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message", "path"),
    [
        (3, "expected a shape such as [B, 3, 224, 224], a list or a map of them, found 3", ()),
        ({}, "expected a shape such as [B, 3, 224, 224], a list or a map of them, found an empty map", ()),
        ({"shape": 3}, "expected a shape such as [B, 12], found 3", ("shape",)),
        ({"shape": ["B"], "typ": 1}, "unknown key 'typ'; did you mean dtype?", ("typ",)),
        ({"shape": ["B"], "dtype": "int46"}, "unknown dtype 'int46'; did you mean int64?", ("dtype",)),
        ({"shape": ["B"], "below": 0}, "expected a whole number of at least 1, found 0", ("below",)),
        (
            {"shape": ["B"], "dtype": "float32", "below": 2},
            "only integer inputs have a bound, float32 has none; integers: dtype: int64",
            ("below",),
        ),
        ([["B"], {"shape": ["B", "H/"]}], "'H/': expected a whole number, a name,", (1, "shape", 1)),
    ],
)
def test_what_is_no_input_says_what_was_expected(value: Any, message: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(PydanticCustomError, match=f"^{re.escape(message)}") as caught:
        parse_input(value)
    assert caught.value.context is not None
    assert caught.value.context["path"] == path
