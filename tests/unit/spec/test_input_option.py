"""What `--input` says, as the value of a spec's `input`."""

from __future__ import annotations

import re

import pytest

from archcheck.errors import UsageError
from archcheck.spec.domains import Domain
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
        (["[B, H/2]:float64"], {"shape": ["B", "H/2"], "dtype": "float64"}),
        (["B, 12 : int64 < 100"], {"shape": ["B", 12], "dtype": "int64", "below": 100}),
        (["B,2", "B,3:float64"], [["B", 2], {"shape": ["B", 3], "dtype": "float64"}]),
        (["a=B,2", "b=[B]"], {"a": ["B", 2], "b": ["B"]}),
        (["B,T:float32[0..1]"], {"shape": ["B", "T"], "dtype": "float32", "between": [0, 1]}),
        (["B:int64[1..T]"], {"shape": ["B"], "dtype": "int64", "between": [1, "T"]}),
        (["x=[B, 3]:float32[-0.5..1e3]"], {"x": {"shape": ["B", 3], "dtype": "float32", "between": [-0.5, 1000.0]}}),
        (["B,T:int64<T+1"], {"shape": ["B", "T"], "dtype": "int64", "below": "T+1"}),
        (["B,4>=1"], {"shape": ["B", 4], "at_least": 1}),
        (["B,4>0"], {"shape": ["B", 4], "above": 0}),
        (["B,4:int32<=9"], {"shape": ["B", 4], "dtype": "int32", "at_most": 9}),
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
        (["[[B,3],[B,5]]"], [[["B", 3], ["B", 5]]]),
        (["x=B,3", "opts={'scale': 2}"], {"x": ["B", 3], "opts": {"scale": 2}}),
        (["x={shape: [B, T], sorted: true}"], {"x": {"shape": ["B", "T"], "sorted": True}}),
        (["x=B", "n=5", "rate=0.5"], {"x": ["B"], "n": 5, "rate": 0.5}),
        (["x=B", "flag=true", "none=null"], {"x": ["B"], "flag": True, "none": None}),
        (["x=B", 'mode="train"', "other='eval'"], {"x": ["B"], "mode": "train", "other": "eval"}),
        (["B,3", "true", "[]"], [["B", 3], True, []]),
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
    assert inputs.args == ({"ids": TensorInput((2, 12), "int64", Domain(below=100))},)
    assert not inputs.kwargs


def test_inputs_are_named_all_or_none() -> None:
    with pytest.raises(UsageError, match=re.escape("inputs are named all or none")):
        parse_input_option(["a=B", "B"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[B, 3", "not valid YAML: did not find expected ',' or ']' while parsing a flow sequence (from line 1)"),
        ("x={'a': 2", "not valid YAML: did not find expected ',' or '}' while parsing a flow mapping (from line 1)"),
        ("'train", "not valid YAML: found unexpected end of stream while scanning a quoted scalar (from line 1)"),
        ('{"a": ["B"], "a": [3]}', "duplicate key 'a', first on line 1"),
        ("[B]\nargs: {a: 1}", "expected one value"),
    ],
)
def test_what_is_no_yaml(text: str, reason: str) -> None:
    message = f"input {text!r}: {reason}; such as --input '[[B, 3, 8, 8], [B, 5]]' or --input 'mode=\"train\"'"
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_input_option([text])


@pytest.mark.parametrize("depth", [64, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    with pytest.raises(UsageError, match=re.escape("nested too deeply: more than 64 levels")):
        parse_input_option(["[" * depth + "]" * depth])
    assert parse_input_option(["[" * 63 + "]" * 63])


@pytest.mark.parametrize("text", ["B,3:int64:", "B:int64<1<2", "B:float32:int64", "B,3:"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"input {text!r}: expected sizes such as B,3,224,224")):
        parse_input_option([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "input: expected a size or a dimension such as 64, B or H/4, found nothing"),
        ("[{tuple: 3}]", "input: expected a list of values and shapes, found 3"),
        ("B,12:int46", "input: unknown dtype 'int46'; did you mean int64?"),
    ],
)
def test_what_a_spec_refuses_is_refused_here(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_input_text([text])
