"""The types of a spec's values: how each is parsed, and what editors are told of it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field, PlainValidator, WithJsonSchema

from archcheck.spec.inputs import parse_input
from archcheck.spec.target import TARGET_FORMS
from archcheck.spec.values import (
    EMPTY,
    Rounded,
    parse_amount,
    parse_build,
    parse_count,
    parse_inputs_from,
    parse_loop,
    parse_macs,
    parse_memory,
    parse_output,
    parse_percent,
    parse_seconds,
    parse_sha256,
    parse_size_list,
    parse_state_keys,
)
from archcheck.spec.weight_expressions import check_weight_expression

_SHAPE_SCHEMA = {
    "description": "a shape such as [B, 64, H/4, W/4]; a list or map of shapes where a tuple or dict is returned; "
    "an empty one in quotes; [[B, 64], ...] any number of them, [[B, 64], 12 times] so many",
    "anyOf": [
        {"type": "array", "items": {"anyOf": [{"type": ["integer", "string", "array", "object", "null"]}]}},
        {"type": "object"},
        {"enum": list(EMPTY)},
        {"type": "null"},
    ],
}
_INPUT_SCHEMA = {
    "description": "a shape, {shape, dtype, between, below, ...}, a list of positional inputs, or a map of keyword "
    "inputs; within lists and maps other values as they are",
    "anyOf": [{"type": "array"}, {"type": "object"}],
}
_TARGET_SCHEMA = {
    "description": TARGET_FORMS,
    "type": "string",
    "examples": ["mypackage.nets:resnet18", "nets.py:Net", "torchvision:resnet18", "transformers:config.json"],
}
_SIZES_SCHEMA = {"anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 1}}, {"type": "integer"}]}

Output: TypeAlias = Annotated[Any, PlainValidator(parse_output), WithJsonSchema(_SHAPE_SCHEMA)]
Input: TypeAlias = Annotated[Any, PlainValidator(parse_input), WithJsonSchema(_INPUT_SCHEMA)]
BuildTarget: TypeAlias = Annotated[str, PlainValidator(parse_build), WithJsonSchema(_TARGET_SCHEMA)]
Loop: TypeAlias = Annotated[
    str,
    PlainValidator(parse_loop),
    WithJsonSchema({"type": "string", "examples": ["mytrain:fit", "mytrain.py:fit", "lightning"]}),
]
InputsFrom: TypeAlias = Annotated[
    str,
    PlainValidator(parse_inputs_from),
    WithJsonSchema({"type": "string", "examples": ["mypackage.data:batch", "data.py:batch"]}),
]
SizeList: TypeAlias = Annotated[tuple[int, ...], PlainValidator(parse_size_list), WithJsonSchema(_SIZES_SCHEMA)]
MacsField: TypeAlias = Annotated[
    Rounded,
    PlainValidator(parse_macs),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["1.73 G", 416520]}),
]
Amount: TypeAlias = Annotated[
    Rounded,
    PlainValidator(parse_amount),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["1.92 GiB", "500 MB"]}),
]
Percent: TypeAlias = Annotated[
    float, PlainValidator(parse_percent), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"})
]
Seconds: TypeAlias = Annotated[
    float, PlainValidator(parse_seconds), WithJsonSchema({"type": ["number", "string"], "examples": ["60 s"]})
]
Bytes: TypeAlias = Annotated[
    int, PlainValidator(parse_memory), WithJsonSchema({"type": "string", "examples": ["2 GiB"]})
]
Sha256: TypeAlias = Annotated[
    str, PlainValidator(parse_sha256), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"})
]
StateKeys: TypeAlias = Annotated[
    Any,
    PlainValidator(parse_state_keys),
    WithJsonSchema({"anyOf": [{"const": "recorded"}, {"type": "array"}, {"type": "object"}]}),
]
WeightText: TypeAlias = Annotated[
    str,
    PlainValidator(check_weight_expression),
    WithJsonSchema({"type": "string", "examples": ["concat(q.weight, k.weight, v.weight)", "transpose(fc.weight)"]}),
]
Count: TypeAlias = Annotated[int, PlainValidator(parse_count), WithJsonSchema({"type": "integer", "minimum": 0})]

# Strict: YAML's own types mean what they say, so that `true` is no number and `on` no truth.
Text: TypeAlias = Annotated[str, Field(strict=True, min_length=1)]
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Accuracy: TypeAlias = Annotated[float, Field(gt=0, le=1, strict=True)]
Positive: TypeAlias = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(gt=0, le=1, strict=True)]
PositiveInt: TypeAlias = Annotated[int, Field(ge=1, strict=True)]
ByDevice: TypeAlias = Positive | dict[str, Positive]
ImageSize: TypeAlias = PositiveInt | tuple[PositiveInt, PositiveInt]
