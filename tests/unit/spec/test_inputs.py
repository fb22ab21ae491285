"""Inputs: as a spec has them, as the command line has them, and the tensors to make of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from archcheck.errors import UsageError
from archcheck.spec.inputs import (
    ForwardInput,
    TensorInput,
    input_names,
    iter_input_patterns,
    make_forward_input,
    parse_input,
    parse_input_option,
    parse_input_text,
)


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["B,3,224,224"], ["B", 3, 224, 224]),
        (["B, 12 : int64 < 100"], {"shape": ["B", 12], "dtype": "int64", "below": 100}),
        (["B,2", "B,3:float64"], [["B", 2], {"shape": ["B", 3], "dtype": "float64"}]),
        (["a=B,2", "b=[B]"], {"a": ["B", 2], "b": ["B"]}),
    ],
)
def test_inputs_of_the_command_line(texts: list[str], value: object) -> None:
    assert parse_input_option(texts) == value


def test_inputs_of_the_command_line_are_named_all_or_none() -> None:
    with pytest.raises(UsageError, match=re.escape("inputs are named all or none")):
        parse_input_option(["a=B", "B"])


@pytest.mark.parametrize("text", ["B:float32:int64", "B<x", "B,3:"])
def test_inputs_of_the_command_line_that_can_not_be_understood(text: str) -> None:
    message = f"input {text!r}: expected sizes such as B,3,224,224 or B,12:int64<100"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parse_input_option([text])


def test_inputs_of_the_command_line_are_held_to_the_rules_of_a_spec() -> None:
    assert parse_input_text(["B,12:int64<100"]) == parse_input({"shape": ["B", 12], "dtype": "int64", "below": 100})
    with pytest.raises(UsageError, match=r"^input: unknown dtype 'int46'; did you mean int64\?$"):
        parse_input_text(["B,12:int46"])


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
