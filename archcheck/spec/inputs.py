"""The inputs of a network: patterns as a spec has them, and the tensors to make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from archcheck.findings import Keys
from archcheck.spec.dims import Dim
from archcheck.spec.tree import iter_leaves, map_leaves
from archcheck.spec.values import fail, parse_dims
from archcheck.text.words import shown, unknown


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

    def in_precision(self, dtype: str) -> ForwardInput:
        """Return the same arguments with the tensors of the usual precision, float32, in another."""

        def converted(tensor: TensorInput) -> TensorInput:
            return replace(tensor, dtype=dtype) if tensor.dtype == "float32" else tensor

        args, kwargs = map_leaves(converted, (self.args, self.kwargs))
        return ForwardInput(args, kwargs, self.sizes)


TENSOR_KEYS = ("shape", "dtype", "below")
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
        """Return the tensor to make at the given values of the free dimensions; bytes are from 0 to 255."""
        below = 256 if self.below is None and self.dtype == "uint8" else self.below
        return TensorInput(tuple(dim.evaluate(sizes) for dim in self.dims), self.dtype, below)


InputTree: TypeAlias = "InputPattern | tuple[InputTree, ...] | dict[str, InputTree]"


def _parse_input_tensor(value: Mapping[str, Any], path: Keys) -> InputPattern:
    for key in value:
        if key not in TENSOR_KEYS:
            raise fail(unknown("key", key, TENSOR_KEYS), (*path, key))
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
    """Parse one tensor, a list of positional inputs, or a map of keyword inputs; nested where the network asks."""
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
    made = map_leaves(lambda pattern: pattern.make(sizes), tree)
    if isinstance(made, dict):
        return ForwardInput(kwargs=made, sizes=sizes)
    return ForwardInput(args=made if isinstance(made, tuple) else (made,), sizes=sizes)


def input_names(tree: InputTree) -> dict[str, None]:
    """Return the free dimensions of the inputs, in order of appearance."""
    dims = [dim for _, pattern in iter_input_patterns(tree) for dim in pattern.dims]
    return dict.fromkeys(name for dim in dims for name in sorted(dim.names))


def iter_input_patterns(tree: InputTree) -> Iterator[tuple[Keys, InputPattern]]:
    """Every tensor among the inputs, with the way to it."""
    return iter_leaves(tree)
