"""What `--input` says, as the value of a spec's `input`."""

from __future__ import annotations

import re

import pytest

from archcheck.errors import UsageError
from archcheck.spec.input_option import parse_input_option, parse_input_text
from archcheck.spec.inputs import TensorInput, make_forward_input


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["B,3,224,224"], ["B", 3, 224, 224]),
        (["[B,3,224,224]"], ["B", 3, 224, 224]),
        (["[ 1, 3 ]"], [1, 3]),
        (["(B,3)"], ["B", 3]),
        (["[]"], []),
        ([""], []),
        (["[B, 3"], ["B", 3]),
        (["[B, H/2]:float64"], {"shape": ["B", "H/2"], "dtype": "float64"}),
        (["B, 12 : int64 < 100"], {"shape": ["B", 12], "dtype": "int64", "below": 100}),
        (["B,2", "B,3:float64"], [["B", 2], {"shape": ["B", 3], "dtype": "float64"}]),
        (["a=B,2", "b=[B]"], {"a": ["B", 2], "b": ["B"]}),
    ],
)
def test_shapes(texts: list[str], value: object) -> None:
    assert parse_input_option(texts) == value


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (['["B", 3]'], ["B", 3]),
        (['{"shape": ["B", 12], "dtype": "int64"}'], {"shape": ["B", 12], "dtype": "int64"}),
        (['[["B",3,8,8],["B",5]]'], [[["B", 3, 8, 8], ["B", 5]]]),
        ([' [ ["B", 3] ] '], [[["B", 3]]]),
        (['{"ids": ["B",12], "mask": ["B",12]}'], [{"ids": ["B", 12], "mask": ["B", 12]}]),
        (['[["B",3],["B",4]]', "B,5"], [[["B", 3], ["B", 4]], ["B", 5]]),
        (['xs=[["B",3],{"a":["B"]}]', "y=B"], {"xs": [["B", 3], {"a": ["B"]}], "y": ["B"]}),
        (['x = {"shape": ["B"], "below": 7}'], {"x": {"shape": ["B"], "below": 7}}),
    ],
)
def test_json_is_the_value_of_one_argument(texts: list[str], value: object) -> None:
    assert parse_input_option(texts) == value


def test_a_list_of_shapes_is_one_positional_argument() -> None:
    inputs = make_forward_input(parse_input_text(['[["B",3],{"a":["B",4]}]']), {"B": 2})
    assert inputs.args == ((TensorInput((2, 3)), {"a": TensorInput((2, 4))}),)
    assert not inputs.kwargs


def test_a_map_is_one_positional_argument() -> None:
    inputs = make_forward_input(parse_input_text(['{"ids":{"shape":["B",12],"below":100}}']), {"B": 2})
    assert inputs.args == ({"ids": TensorInput((2, 12), "int64", 100)},)
    assert not inputs.kwargs


def test_inputs_are_named_all_or_none() -> None:
    with pytest.raises(UsageError, match=re.escape("inputs are named all or none")):
        parse_input_option(["a=B", "B"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[B,3],[B,5]]", "not valid JSON (Expecting value: line 1 column 3 (char 2))"),
        ("[[B,3]]", "not valid JSON (Expecting value: line 1 column 3 (char 2))"),
        ("x={'a': 2}", "not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ('["B", 3', "not valid JSON (Expecting ',' delimiter: line 1 column 8 (char 7))"),
        ('{"a": ["B"], "a": [3]}', "not valid JSON (the key 'a' is there twice)"),
    ],
)
def test_what_is_no_json(text: str, reason: str) -> None:
    message = f'input {text!r}: {reason}; such as --input \'[["B",3,8,8],["B",5]]\''
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_input_option([text])


@pytest.mark.parametrize("depth", [65, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    with pytest.raises(UsageError, match=re.escape("nested too deeply: more than 64 levels")):
        parse_input_option(["[" * depth + "]" * depth])
    assert parse_input_option(["[" * 64 + "]" * 64])


@pytest.mark.parametrize("text", ["B,3:int64:", "B<x", "B:int64<1<2", "B:float32:int64", "B,3:"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"input {text!r}: expected sizes such as B,3,224,224")):
        parse_input_option([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[["B", 2.5]]', "input: expected a size or a dimension such as 64, B or H/4, found 2.5"),
        ('{"a": null}', "input: expected a shape such as [B, 3, 224, 224], a list or a map of them, found nothing"),
        ("B,12:int46", "input: unknown dtype 'int46'; did you mean int64?"),
        ("{}", "input: expected a shape such as [B, 3, 224, 224], a list or a map of them, found an empty map"),
    ],
)
def test_what_a_spec_refuses_is_refused_here(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_input_text([text])
