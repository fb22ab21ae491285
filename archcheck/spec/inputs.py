"""The inputs of a network: patterns as a spec has them, the tensors to make of them, the command line's form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

from archcheck.errors import UsageError
from archcheck.findings import Keys
from archcheck.spec.dims import Dim
from archcheck.spec.values import fail, parse_dims
from archcheck.text.words import quoted, shown, unknown


@dataclass(frozen=True, slots=True)
class TensorInput:
    """A tensor to make: its sizes, its dtype and, for integers, the exclusive upper bound of its values."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    below: int | None = None


InputValue: TypeAlias = "TensorInput | Sequence[InputValue] | Mapping[str, InputValue]"


@dataclass(frozen=True, slots=True)
class ForwardInput:
    """The arguments of one forward pass, and the values of the free dimensions they were made with."""

    args: tuple[InputValue, ...] = ()
    kwargs: Mapping[str, InputValue] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip


INTEGER_DTYPES = ("int64", "int32", "int16", "int8", "uint8")


@dataclass(frozen=True, slots=True)
class InputPattern:
    """One input tensor: its sizes, dtype and, for integers, the exclusive upper bound of its values."""

    dims: tuple[Dim, ...]
    dtype: str = "float32"
    below: int | None = None

    def make(self, sizes: Mapping[str, int]) -> TensorInput:
        """The tensor to make at the given values of the free dimensions."""
        return TensorInput(tuple(dim.evaluate(sizes) for dim in self.dims), self.dtype, self.below)


InputTree: TypeAlias = "InputPattern | tuple[InputTree, ...] | dict[str, InputTree]"


def _parse_input_tensor(value: Mapping[str, Any], path: Keys) -> InputPattern:
    for key in value:
        if key not in ("shape", "dtype", "below"):
            raise fail(unknown("key", key, ("shape", "dtype", "below")), (*path, key))
    if not isinstance(value["shape"], list):
        raise fail(f"expected a shape such as [B, 12], found {shown(value['shape'])}", (*path, "shape"))
    below = value.get("below")
    dtype = value.get("dtype", "float32" if below is None else "int64")
    if dtype not in DTYPES:
        raise fail(unknown("dtype", str(dtype), DTYPES), (*path, "dtype"))
    if below is not None and (not isinstance(below, int) or isinstance(below, bool) or below < 1):
        raise fail(f"expected a whole number of at least 1, found {shown(below)}", (*path, "below"))
    if below is not None and dtype not in INTEGER_DTYPES:
        raise fail(f"only integer inputs have a bound, {dtype} has none; integers: dtype: int64", (*path, "below"))
    return InputPattern(parse_dims(value["shape"], (*path, "shape")), dtype, below)


def parse_input(value: Any, path: Keys = ()) -> InputTree:
    """One tensor, a list of positional inputs, or a map of keyword inputs (nested further where the network asks)."""
    if isinstance(value, dict) and "shape" in value:
        return _parse_input_tensor(value, path)
    if isinstance(value, dict) and value:
        return {str(key): parse_input(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return tuple(parse_input(item, (*path, position)) for position, item in enumerate(value))
    if isinstance(value, list):
        return InputPattern(parse_dims(value, path))
    raise fail(f"expected a shape such as [B, 3, 224, 224], a list or a map of them, found {shown(value)}", path)


def make_forward_input(tree: InputTree, sizes: Mapping[str, int]) -> ForwardInput:
    """The arguments for one forward pass: one tensor or a list of them by position, a map by keyword."""
    if isinstance(tree, dict):
        return ForwardInput(kwargs={key: _make_input(item, sizes) for key, item in tree.items()}, sizes=sizes)
    items = tree if isinstance(tree, tuple) else (tree,)
    return ForwardInput(args=tuple(_make_input(item, sizes) for item in items), sizes=sizes)


def _make_input(tree: InputTree, sizes: Mapping[str, int]) -> InputValue:
    if isinstance(tree, InputPattern):
        return tree.make(sizes)
    if isinstance(tree, dict):
        return {key: _make_input(item, sizes) for key, item in tree.items()}
    return tuple(_make_input(item, sizes) for item in tree)


def input_names(tree: InputTree) -> dict[str, None]:
    """The free dimensions of the inputs, in order of appearance."""
    dims = [dim for _, pattern in iter_input_patterns(tree) for dim in pattern.dims]
    return dict.fromkeys(name for dim in dims for name in sorted(dim.names))


def iter_input_patterns(tree: InputTree, path: Keys = ()) -> Iterator[tuple[Keys, InputPattern]]:
    """Every tensor among the inputs, with the way to it."""
    if isinstance(tree, InputPattern):
        yield path, tree
        return
    for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from iter_input_patterns(item, (*path, key))


_INPUT_TEXT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>[^:<]*)(?::(?P<dtype>\w+))?(?:<(?P<below>[\d_]+))?")


def parse_input_option(texts: Sequence[str]) -> Any:
    """`B,12:int64<100`, repeated, as the value of a spec's `input` key; `name=B,12` gives a keyword its name.

    Raises:
        UsageError: the text can't be understood.
    """
    values: list[tuple[str | None, Any]] = [_parse_input_item(text) for text in texts]
    named = {name: value for name, value in values if name is not None}
    if named and len(named) != len(values):
        raise UsageError("inputs are named all or none, each by its own name: --input ids=B,12 --input mask=B,12")
    if named:
        return named
    return values[0][1] if len(values) == 1 else [value for _, value in values]


def _parse_input_item(text: str) -> tuple[str | None, Any]:
    match = _INPUT_TEXT.fullmatch(text.strip().replace(" ", ""))
    if match is None:
        raise UsageError(f"input {quoted(text)}: expected sizes such as B,3,224,224 or B,12:int64<100")
    sizes = match["shape"].strip("[]()")
    shape = [int(size) if size.isdecimal() else size for size in sizes.split(",")] if sizes else []
    if match["dtype"] is None and match["below"] is None:
        return match["name"], shape
    value: dict[str, Any] = {"shape": shape}
    if match["dtype"]:
        value["dtype"] = match["dtype"]
    if match["below"]:
        value["below"] = int(match["below"].replace("_", ""))
    return match["name"], value


def parse_input_text(texts: Sequence[str]) -> InputTree:
    """The inputs that `--input` options describe. Raises UsageError where they can't be understood."""
    try:
        return parse_input(parse_input_option(texts))
    except PydanticCustomError as error:
        raise UsageError(f"input: {error.message()}") from None
