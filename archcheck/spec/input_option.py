"""The inputs of a network as the command line has them: `B,3,224,224`, `mask=B,12:int64<100`, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from archcheck.errors import UsageError
from archcheck.spec.document_builder import MAX_DEPTH
from archcheck.spec.inputs import InputTree, parse_input
from archcheck.text.words import quoted

_SHAPE = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>[^:<]*)(?::(?P<dtype>\w+))?(?:<(?P<below>[\d_]+))?")
_NESTED = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)\s*=)?\s*(?P<json>[\[{].*)", re.DOTALL)


def parse_input_text(texts: Sequence[str]) -> InputTree:
    """Parse the inputs that `--input` options describe.

    Raises:
        UsageError: they can't be understood.
    """
    try:
        return parse_input(parse_input_option(texts))
    except PydanticCustomError as error:
        raise UsageError(f"input: {error.message()}") from None


def parse_input_option(texts: Sequence[str]) -> Any:
    """Return the value of a spec's `input` key that `--input` options stand for, one option for each argument.

    An option is a shape such as `B,12:int64<100`, or one argument's value as JSON, which may nest shapes in lists and
    maps: `[["B", 3], ["B", 5]]`. `name=` before either gives a keyword its name.

    Raises:
        UsageError: the text can't be understood.
    """
    values: list[tuple[str | None, Any]] = [_parse_argument(text) for text in texts]
    named = {name: value for name, value in values if name is not None}
    if named and len(named) != len(values):
        raise UsageError("inputs are named all or none, each by its own name: --input ids=B,12 --input mask=B,12")
    if named:
        return named
    if len(values) == 1 and _is_tensor(values[0][1]):
        return values[0][1]
    return [value for _, value in values]


def _is_tensor(value: Any) -> bool:
    """Whether a value of `input` is one tensor, rather than a list of arguments or a map of keywords."""
    if isinstance(value, dict):
        return "shape" in value
    return not any(isinstance(item, (list, dict)) for item in value)


def _parse_argument(text: str) -> tuple[str | None, Any]:
    """Return the name, if there is one, and the value of one argument."""
    nested = _NESTED.fullmatch(text.strip())
    if nested is not None:
        value = _parse_json(nested["json"], text)
        if value is not None:
            return nested["name"], value
    match = _SHAPE.fullmatch(text.strip().replace(" ", ""))
    if match is None:
        raise UsageError(f"input {quoted(text)}: expected sizes such as B,3,224,224 or B,12:int64<100")
    return match["name"], _parse_shape(match)


def _parse_json(text: str, option: str) -> Any:
    """Return the value of JSON; None for what is no JSON, but may be a shape in brackets, such as `[B, 3]`."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
        depth = _depth(value)
    except RecursionError:
        depth = MAX_DEPTH + 1
    except ValueError as error:
        if re.match(r"\[[^\[{\"]*(?:$|\])", text):
            return None
        example = '--input \'[["B",3,8,8],["B",5]]\''
        raise UsageError(f"input {quoted(option)}: not valid JSON ({error}); such as {example}") from None
    if depth > MAX_DEPTH:
        raise UsageError(f"input {quoted(option)}: nested too deeply: more than {MAX_DEPTH} levels")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"the key {quoted(twice)} is there twice")
    return dict(pairs)


def _depth(value: Any) -> int:
    """Return how many lists and maps lie within each other, `value` included."""
    depth, level = 0, [value]
    while level:
        inside = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
        depth, level = depth + 1, [item for item in inside if isinstance(item, (list, dict))]
    return depth


def _parse_shape(match: re.Match[str]) -> Any:
    """Return a tensor as a spec has it: its sizes, with a dtype or a bound as a map."""
    sizes = match["shape"].strip("[]()")
    shape = [int(size) if size.isdecimal() else size for size in sizes.split(",")] if sizes else []
    if match["dtype"] is None and match["below"] is None:
        return shape
    value: dict[str, Any] = {"shape": shape}
    if match["dtype"]:
        value["dtype"] = match["dtype"]
    if match["below"]:
        value["below"] = int(match["below"].replace("_", ""))
    return value
