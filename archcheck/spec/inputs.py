"""The inputs of a network: patterns as a spec has them, and the tensors to make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from archcheck.findings import Keys
from archcheck.spec.dims import Dim
from archcheck.spec.domains import ANYTHING, DOMAIN_KEYS, Domain, has_whole_bounds, parse_domain
from archcheck.spec.tree import iter_leaves, map_leaves
from archcheck.spec.values import fail, parse_dims
from archcheck.text.words import shown, unknown


@dataclass(frozen=True, slots=True)
class TensorInput:
    """A tensor to make: its sizes, its dtype, and what values it has."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    domain: Domain = ANYTHING


@dataclass(frozen=True, slots=True)
class LiteralInput:
    """A value that is passed as it is: a number, a text, None, or a list or map in which nothing is a shape.

    is_declared: whether the spec says so by the key `literal`.
    """

    value: Any
    is_declared: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class InputSource:
    """A callable that makes the arguments of a forward pass.

    target: `module:callable` or `path/file.py:callable`, the latter from `base_dir`, the spec's folder. rootdir: where
    modules are looked for first. names: the free dimensions whose values it is called with. made: what it has made
    already, by what it was called with.
    """

    target: str
    base_dir: Path = Path()
    rootdir: Path | None = None
    names: tuple[str, ...] = ()
    made: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


InputValue: TypeAlias = "TensorInput | LiteralInput | Sequence[InputValue] | Mapping[str, InputValue]"


@dataclass(frozen=True, slots=True)
class ForwardInput:
    """The arguments of one forward pass, and the values of the free dimensions they were made with.

    source: makes the arguments, where they aren't described. train: whether they are for train mode. precision: the
    dtype of what has the usual one, float32.
    """

    args: tuple[InputValue, ...] = ()
    kwargs: Mapping[str, InputValue] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    source: InputSource | None = None
    train: bool = False
    precision: str = "float32"

    def tensors(self) -> list[TensorInput]:
        """Return the tensors among the arguments, in order."""
        return [leaf for _, leaf in iter_leaves((self.args, self.kwargs)) if isinstance(leaf, TensorInput)]

    @property
    def num_elements(self) -> int:
        """Elements of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors())

    def in_precision(self, dtype: str) -> ForwardInput:
        """Return the same arguments with the tensors of the usual precision, float32, in another."""

        def converted(leaf: TensorInput | LiteralInput) -> TensorInput | LiteralInput:
            if isinstance(leaf, TensorInput) and leaf.dtype == "float32":
                return replace(leaf, dtype=dtype)
            return leaf

        args, kwargs = map_leaves(converted, (self.args, self.kwargs))
        return replace(self, args=args, kwargs=kwargs, precision=dtype)


TENSOR_KEYS = ("shape", "dtype", *DOMAIN_KEYS)
CONTAINERS = ("list", "tuple")
MAX_ELEMENTS = 2**40  # of an input: even without values, torch can't count the bytes of much larger ones
DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip
_EXPECTED = "expected a shape such as [B, 3, 224, 224], a list or a map of them"


@dataclass(frozen=True, slots=True)
class InputPattern:
    """One input tensor: its sizes, its dtype, and what values it has."""

    dims: tuple[Dim, ...]
    dtype: str = "float32"
    domain: Domain = ANYTHING

    @property
    def names(self) -> frozenset[str]:
        """Return the free dimensions in its shape and its domain."""
        dims = [*self.dims, *(dim for _, dim in self.domain.dims)]
        return frozenset(name for dim in dims for name in dim.names)

    def make(self, sizes: Mapping[str, int]) -> TensorInput:
        """Return the tensor to make at the given values of the free dimensions; bytes are from 0 to 255."""
        domain = self.domain.at(sizes)
        if self.dtype == "uint8" and not domain.is_bounded:
            domain = replace(domain, at_most=255)
        return TensorInput(tuple(dim.evaluate(sizes) for dim in self.dims), self.dtype, domain)


InputTree: TypeAlias = "InputPattern | LiteralInput | InputSource | Sequence[InputTree] | dict[str, InputTree]"


def _parse_input_tensor(value: Mapping[str, Any], path: Keys) -> InputPattern:
    for key in value:
        if key not in TENSOR_KEYS:
            raise fail(unknown("key", key, TENSOR_KEYS), (*path, key))
    if not isinstance(value["shape"], list):
        raise fail(f"expected a shape such as [B, 12], found {shown(value['shape'])}", (*path, "shape"))
    dtype = value.get("dtype", "int64" if has_whole_bounds(value) else "float32")
    if dtype not in DTYPES:
        raise fail(unknown("dtype", str(dtype), DTYPES), (*path, "dtype"))
    dims = parse_dims(value["shape"], (*path, "shape"))
    return InputPattern(dims, dtype, parse_domain(value, dtype, path))


def parse_input(value: Any, path: Keys = ()) -> InputTree:
    """Parse one tensor, a list of positional inputs, or a map of keyword inputs.

    Within lists and maps, what is neither a shape nor a list or map is passed as it is. A map of the one key `literal`
    is a value in which nothing is a shape; of `list` or `tuple`, one that the network gets as that. A source is one.
    """
    if isinstance(value, InputSource):
        return value
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in CONTAINERS:
        return (_parse_value(value, path),)  # an argument, not the list of them
    if isinstance(value, dict) and value:
        return _parse_map(value, path)
    if not isinstance(value, list):
        raise fail(f"{_EXPECTED}, found {shown(value)}", path)
    if any(isinstance(item, (list, dict)) for item in value):
        return _parse_items(value, path)
    return InputPattern(parse_dims(value, path))


def _parse_value(value: Any, path: Keys) -> InputTree:
    """Parse what lies within a list or map of inputs."""
    if isinstance(value, dict):
        return _parse_map(value, path) if value else LiteralInput(value)
    if not isinstance(value, list):
        return LiteralInput(value)
    if all(isinstance(item, (int, str)) and not isinstance(item, bool) for item in value):
        return InputPattern(parse_dims(value, path))
    items = _parse_items(value, path)
    return LiteralInput(value) if all(isinstance(item, LiteralInput) for item in items) else items


def _parse_items(value: Sequence[Any], path: Keys) -> tuple[InputTree, ...]:
    return tuple(_parse_value(item, (*path, position)) for position, item in enumerate(value))


def _parse_map(value: Mapping[str, Any], path: Keys) -> InputTree:
    if "shape" in value:
        return _parse_input_tensor(value, path)
    (key, inside), *more = value.items()
    if more or key not in ("literal", *CONTAINERS):
        return {str(key): _parse_value(item, (*path, key)) for key, item in value.items()}
    if key == "literal":
        return LiteralInput(inside, is_declared=True)
    if not isinstance(inside, list):
        raise fail(f"expected a list of values and shapes, found {shown(inside)}", (*path, key))
    items = _parse_items(inside, (*path, key))
    return list(items) if key == "list" else items


def make_forward_input(tree: InputTree, sizes: Mapping[str, int]) -> ForwardInput:
    """The arguments for one forward pass: one tensor or a list of them by position, a map by keyword."""
    if isinstance(tree, InputSource):
        return ForwardInput(sizes=sizes, source=tree)
    made = map_leaves(lambda leaf: leaf.make(sizes) if isinstance(leaf, InputPattern) else leaf, tree)
    if isinstance(made, dict):
        return ForwardInput(kwargs=made, sizes=sizes)
    return ForwardInput(args=made if isinstance(made, tuple) else (made,), sizes=sizes)


def input_names(tree: InputTree) -> dict[str, None]:
    """Return the free dimensions of the inputs, in order of appearance."""
    if isinstance(tree, InputSource):
        return dict.fromkeys(tree.names)
    dims = [dim for _, pattern in iter_input_patterns(tree) for dim in pattern.dims]
    bounds = [dim for _, pattern in iter_input_patterns(tree) for _, dim in pattern.domain.dims]
    return dict.fromkeys(name for dim in (*dims, *bounds) for name in sorted(dim.names))


def iter_input_patterns(tree: InputTree) -> Iterator[tuple[Keys, InputPattern]]:
    """Every tensor among the inputs, with the way to it."""
    return ((path, leaf) for path, leaf in iter_leaves(tree) if isinstance(leaf, InputPattern))
