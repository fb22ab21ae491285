"""The inputs of a network as the command line has them: `B,3,224,224`, `mask=B,12:int64<100`, or YAML in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from archcheck.errors import SpecError, UsageError
from archcheck.spec.document import parse_document
from archcheck.spec.inputs import InputTree, parse_input
from archcheck.text.words import quoted
from archcheck.text.yaml_flow import format_flow
from archcheck.text.yaml_scalars import resolve_scalar

_BOUND = r"[\w.+*/()-]+?"
_SIZES = r"[^:<>\[\]{}\"']*"
_SHAPE = re.compile(
    rf"(?P<shape>{_SIZES}|\[{_SIZES}\])(?P<rest>(?::(?P<dtype>\w+))?"
    rf"(?:\[(?P<low>{_BOUND})\.\.(?P<high>{_BOUND})\]|(?P<sign><=?|>=?)(?P<bound>{_BOUND}))?)"
)
_NAMED = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=(?!=)\s*(?P<value>.*)", re.DOTALL)
_SIGNS = {"<": "below", "<=": "at_most", ">": "above", ">=": "at_least"}
_SPELLED_OUT = (bool, float, type(None))  # values that no size looks like: true, 0.5, null
_EXAMPLE = "such as --input '[[B, 3, 8, 8], [B, 5]]' or --input 'mode=\"train\"'"


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

    An option is a shape such as `B,12:int64<100`, or one argument's value as a spec has it, in one line of YAML or
    JSON: `[[B, 3], [B, 5]]`, `{shape: [B, T], sorted: true}`, `"train"`, `true`. `name=` before either gives a keyword
    its name; a whole number behind it is that number.

    Raises:
        UsageError: the text can't be understood.
    """
    values = [_parse_argument(text) for text in texts]
    named = {name: value for name, value in values if name is not None}
    if named and len(named) != len(values):
        raise UsageError("inputs are named all or none, each by its own name: --input ids=B,12 --input mask=B,12")
    if named:
        return named
    if len(values) == 1 and _is_tensor(values[0][1]):
        return values[0][1]
    return [value for _, value in values]


def format_input_options(value: Any, sizes: Mapping[str, Sequence[int]] | None = None) -> str:
    """Return the `--input` and `--size` options that stand for values of a spec's `input` and `sizes`."""
    if _is_tensor(value):
        texts = [_format_argument(value)]
    elif isinstance(value, dict):
        texts = [f"{name}={_format_argument(item)}" for name, item in value.items()]
    else:
        texts = [_format_argument(item) for item in value]
    options = [f"--input {_shell_quoted(text)}" for text in texts]
    return " ".join([*options, *(f"--size {name}={','.join(map(str, each))}" for name, each in (sizes or {}).items())])


def _format_argument(value: Any) -> str:
    """Return one argument as an option has it: sizes with a dtype or bound, YAML for anything else."""
    if isinstance(value, list) and value and _is_tensor(value):
        return ",".join(map(str, value))
    if not isinstance(value, dict) or "shape" not in value:
        return format_flow(value)
    rest = {key: bound for key, bound in value.items() if key not in ("shape", "dtype")}
    signs = [f"{sign}{rest[key]}" for sign, key in _SIGNS.items() if key in rest]
    if "between" in rest:
        signs.append(f"[{rest['between'][0]}..{rest['between'][1]}]")
    if len(signs) < len(rest) or len(signs) > 1:
        return format_flow(value)
    dtype = f":{value['dtype']}" if "dtype" in value else ""
    return f"{','.join(map(str, value['shape']))}{dtype}{''.join(signs)}"


def _shell_quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text else f"'{text}'"


def _is_tensor(value: Any) -> bool:
    """Whether a value of `input` is one tensor, rather than a list of arguments or a map of keywords."""
    if isinstance(value, dict):
        return "shape" in value
    return isinstance(value, list) and all(type(item) in (int, str) for item in value)


def _parse_argument(text: str) -> tuple[str | None, Any]:
    """Return the name, if there is one, and the value of one argument."""
    named = _NAMED.fullmatch(text.strip())
    name, written = (named["name"], named["value"]) if named is not None else (None, text.strip())
    match = _SHAPE.fullmatch(written.replace(" ", ""))
    try:
        if written.startswith(("[", "{", '"', "'")) and (match is None or not match["rest"]):
            return name, _parse_yaml(written, text)
        value = resolve_scalar(written)
        if (written and isinstance(value, _SPELLED_OUT)) or (name is not None and isinstance(value, int)):
            return name, value
        if match is not None:
            return name, _parse_shape(match)
    except ValueError as error:  # integers of thousands of digits
        raise UsageError(f"input {quoted(text)}: {error}") from None
    raise UsageError(f"input {quoted(text)}: expected sizes such as B,3,224,224 or B,12:int64<100")


def _parse_yaml(written: str, option: str) -> Any:
    """Return the value of YAML in flow style, of which JSON is a part."""
    try:
        value = parse_document(f"input: {written}", "--input").value
    except SpecError as error:
        raise UsageError(f"input {quoted(option)}: {error.problems[0].message}; {_EXAMPLE}") from None
    if value.keys() != {"input"}:
        raise UsageError(f"input {quoted(option)}: expected one value; {_EXAMPLE}")
    return value["input"]


def _parse_shape(match: re.Match[str]) -> Any:
    """Return a tensor as a spec has it: its sizes, with a dtype or bounds as a map."""
    sizes = match["shape"].strip("[]()")
    shape = [int(size) if size.isdecimal() else size for size in sizes.split(",")] if sizes else []
    value: dict[str, Any] = {"shape": shape}
    if match["dtype"]:
        value["dtype"] = match["dtype"]
    if match["low"]:
        value["between"] = [resolve_scalar(match["low"]), resolve_scalar(match["high"])]
    if match["sign"]:
        value[_SIGNS[match["sign"]]] = resolve_scalar(match["bound"])
    return value if len(value) > 1 else shape


def parse_size_option(text: str) -> tuple[str, list[int]]:
    """Return the name and the values of a free dimension that a `--size` option gives.

    Raises:
        UsageError: the text can't be understood.
    """
    match = re.fullmatch(r"(\w+)=(\d+(?:,\d+)*)", text.replace(" ", ""))
    if match is None:
        raise UsageError(f"--size {text!r}: expected NAME=N,N, such as H=224,96")
    return match[1], [int(size) for size in match[2].split(",")]
