"""Inputs: as a spec has them, and the tensors to make of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import (
    ForwardInput,
    LiteralInput,
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
        (TensorInput((2, 8)), TensorInput((2,), "int64", Domain(below=9))), sizes=sizes
    )
    named = parse_input({"x": ["B"], "more": {"y": [["H"], [4]]}})
    assert make_forward_input(named, sizes) == ForwardInput(
        (), {"x": TensorInput((2,)), "more": {"y": (TensorInput((8,)), TensorInput((4,)))}}, sizes
    )


def test_what_is_no_shape_within_lists_and_maps_is_passed_as_it_is() -> None:
    tree = parse_input({"x": ["B", 3], "scale": 2, "mode": "train", "none": None, "flag": False, "rates": [0.5, 2]})
    inputs = make_forward_input(tree, {"B": 2})
    assert inputs.kwargs["x"] == TensorInput((2, 3))
    literals = {key: value for key, value in inputs.kwargs.items() if key != "x"}
    values = {"scale": 2, "mode": "train", "none": None, "flag": False, "rates": [0.5, 2]}
    assert literals == {key: LiteralInput(value) for key, value in values.items()}


def test_maps_of_one_key_say_what_a_list_is() -> None:
    tree = parse_input([{"literal": [1, 2]}, {"tuple": [["B"], 7]}, {"list": [["B"], None]}, {}, [["B"], 4]])
    assert make_forward_input(tree, {"B": 2}).args == (
        LiteralInput([1, 2]), (TensorInput((2,)), LiteralInput(7)), [TensorInput((2,)), LiteralInput(None)],
        LiteralInput({}), (TensorInput((2,)), LiteralInput(4)),
    )  # fmt: skip
    assert make_forward_input(parse_input({"tuple": [["B"]]}), {"B": 2}).args == ((TensorInput((2,)),),)
    assert make_forward_input(parse_input({"x": ["B"], "literal": ["B"]}), {"B": 2}).kwargs.keys() == {"x", "literal"}


def test_bounds_may_be_dimensions() -> None:
    tree = parse_input([["B", "T"], {"shape": ["B"], "between": [1, "T"]}, {"shape": ["B"], "below": "2*V"}])
    assert list(input_names(tree)) == ["B", "T", "V"]
    _, lengths, words = make_forward_input(tree, {"B": 2, "T": 9, "V": 5}).args
    assert lengths == TensorInput((2,), "int64", Domain(at_least=1, at_most=9))
    assert words == TensorInput((2,), "int64", Domain(below=10))


def test_bytes_are_from_0_to_255() -> None:
    made = make_forward_input(parse_input({"shape": [3], "dtype": "uint8"}), {})
    assert made.args == (TensorInput((3,), "uint8", Domain(at_most=255)),)


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
        ({"shape": ["B"], "below": 0}, "no whole number is from 0 to -1", ("below",)),
        (["B", 2.5], "expected a size or a dimension such as 64, B or H/4, found 2.5", (1,)),
        ({"x": {"list": 3}}, "expected a list of values and shapes, found 3", ("x", "list")),
        ({"x": {"tuple": [[{}, {"shape": 3}]]}}, "expected a shape such as [B, 12]", ("x", "tuple", 0, 1, "shape")),
        ([["B"], {"shape": ["B", "H/"]}], "'H/': expected a whole number, a name,", (1, "shape", 1)),
    ],
)
def test_what_is_no_input_says_what_was_expected(value: Any, message: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(PydanticCustomError, match=f"^{re.escape(message)}") as caught:
        parse_input(value)
    assert caught.value.context is not None
    assert caught.value.context["path"] == path
