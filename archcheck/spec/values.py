"""The values that a spec is written in: shape patterns, counts, durations, build targets.

The `parse_` functions take the plain values of YAML and fail with pydantic's own error type, so that they serve as
validators of the spec's models; the message and the way to the place inside the value ride along.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

from archcheck.errors import ArchcheckError, DimError
from archcheck.findings import Keys
from archcheck.spec.dims import Dim, format_shape, parse_dim, parse_shape
from archcheck.spec.target import parse_target
from archcheck.spec.tree import iter_leaves
from archcheck.text.units import parse_bytes, parse_quantity
from archcheck.text.words import clip, key_text, shown, unknown
from archcheck.text.yaml_flow import format_flow

LIGHTNING = "lightning"  # the loop that is PyTorch Lightning's

# ------------------------------------------------------------------------------------------- shape patterns


@dataclass(frozen=True, slots=True)
class TensorPattern:
    """The expected sizes of one tensor, such as `[B, 64, H/4, W/4]`."""

    dims: tuple[Dim, ...]

    def __str__(self) -> str:
        return format_shape(self.dims)

    def evaluate(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the sizes at the given values of the free dimensions; raises DimError where there are none."""
        return tuple(dim.evaluate(sizes) for dim in self.dims)


@dataclass(frozen=True, slots=True)
class EmptyPattern:
    """A list, tuple or dict with nothing in it, written as `"[]"`, `"()"` or `"{}"`: `[]` is a tensor's shape."""

    kind: str


@dataclass(frozen=True, slots=True)
class RepeatedPattern:
    """A list or tuple of things that are alike: `[[B, 64], ...]` any number of them, `[[B, 64], 12 times]` so many."""

    item: ValuePattern
    count: Dim | None = None


ValuePattern: TypeAlias = (
    "TensorPattern | EmptyPattern | RepeatedPattern | tuple[ValuePattern, ...] | dict[str, ValuePattern] | None"
)
EMPTY = ("[]", "()", "{}")
ANY_NUMBER = "..."
_TIMES = re.compile(r"(.+) times")


def repeat_count(value: Any) -> str | None:
    """Return what a plain list says of how often its first item comes: `...` or a dimension; None where it doesn't."""
    if not isinstance(value, list) or not value or not isinstance(value[-1], str):
        return None
    if value[-1] == ANY_NUMBER:
        return ANY_NUMBER
    match = _TIMES.fullmatch(value[-1])
    return match[1] if match is not None and match[1] != ANY_NUMBER else None


def format_times(count: int | str) -> str:
    """Return how often an item comes as a spec has it: `12 times`."""
    return f"{count} times"


def fail(message: str, path: Keys = ()) -> PydanticCustomError:
    """Return an error of one value; `path` leads to the place inside it."""
    return PydanticCustomError("archcheck", "{message}", {"message": message, "path": path})


def _is_dim(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def parse_dims(value: Sequence[Any], path: Keys) -> tuple[Dim, ...]:
    """Parse the dimensions of one tensor; an error says at which position."""
    dims = []
    for position, item in enumerate(value):
        if not _is_dim(item):
            raise fail(f"expected a size or a dimension such as 64, B or H/4, found {shown(item)}", (*path, position))
        try:
            dims.append(parse_dim(item))
        except DimError as error:
            raise fail(str(error), (*path, position)) from None
    return tuple(dims)


def _parse_pattern(value: Any, path: Keys = ()) -> ValuePattern:
    """Parse a shape, a list or map of them where a tuple or dict is returned, or null where no tensor is."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {str(key): _parse_pattern(item, (*path, key)) for key, item in value.items()} or EmptyPattern("{}")
    if isinstance(value, str) and value in EMPTY:
        return EmptyPattern(value)
    if not isinstance(value, list):
        empty = ', or "[]", "()" or "{}" for nothing,' if isinstance(value, str) and set(value) <= {*"[](){} "} else ","
        raise fail(f"expected a shape such as [B, 64, H/4, W/4]{empty} found {shown(value)}", path)
    count = repeat_count(value)
    if count is not None:
        return _parse_repeated(value, count, path)
    if all(type(item) is int or type(item) is str for item in value):
        return _parse_shape(tuple(value), path)
    if any(isinstance(item, (list, dict)) or item is None for item in value):
        return _parse_sequence(value, path)
    return TensorPattern(parse_dims(value, path))


def _parse_repeated(value: Sequence[Any], count: str, path: Keys) -> RepeatedPattern:
    last = len(value) - 1
    if last != 1 or (_is_dim(value[0]) and value[0] not in EMPTY):
        whole = f"`{value[-1]}` takes one whole shape before it, as in [[B, 64], {value[-1]}]"
        raise fail(whole, (*path, last))
    item = _parse_pattern(value[0], (*path, 0))
    try:
        return RepeatedPattern(item, None if count == ANY_NUMBER else parse_dim(_as_dim(count)))
    except DimError as error:
        raise fail(str(error), (*path, last)) from None


def _as_dim(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _parse_sequence(value: Sequence[Any], path: Keys) -> ValuePattern:
    return tuple(_parse_pattern(item, (*path, position)) for position, item in enumerate(value))


def _parse_shape(value: tuple[int | str, ...], path: Keys) -> ValuePattern:
    try:
        return _known_shape(value)
    except DimError:
        if any(item in EMPTY for item in value):  # no shape, but a list of empty ones
            return _parse_sequence(value, path)
        return TensorPattern(parse_dims(value, path))  # again, for the place of what is wrong


@functools.lru_cache(maxsize=4096)
def _known_shape(value: tuple[int | str, ...]) -> TensorPattern:
    """Parse a shape, each only once: the layers of a repository have few different ones."""
    return TensorPattern(parse_shape(value))


def parse_output(value: Any) -> ValuePattern:
    """Parse the `output` of a layer or of the network."""
    if value is None:
        raise fail("expected a shape such as [B, 10], found nothing")
    return _parse_pattern(value)


# ------------------------------------------------------------------------------------------- scalars


@dataclass(frozen=True, slots=True)
class Rounded:
    """A number as written, such as `1.73 G`: equal to any that rounds to the digits written.

    unit: what stands behind the digits, with the space before it; empty where nothing does. scale: what it multiplies.
    """

    text: str
    value: Decimal
    digits: int = 0  # behind the point
    unit: str = ""
    scale: Decimal = Decimal(1)

    def matches(self, number: int) -> bool:
        """Return whether a number is the written one after rounding to its digits (a tie rounds either way)."""
        resolution = self.scale / 10**self.digits
        return abs(Decimal(number) - self.value) <= (resolution / 2 if resolution > 1 else 0)

    def reformat(self, number: int) -> str:
        """Return another number as text in the same unit, with the same number of decimals; in full where that is 0."""
        scaled = f"{Decimal(number) / self.scale:.{self.digits}f}"
        return f"{scaled}{self.unit}" if self.unit.strip() and float(scaled) else f"{number:_}"


_SECONDS = {"s": 1, "min": 60, "h": 3600}
_COUNTS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", 1)
}
_ROUNDED = re.compile(r"(?P<whole>\d+(?:_\d+)*)(?:\.(?P<fraction>\d+))?(?P<space> ?)(?P<unit>[A-Za-z]*)")


def _parse_rounded(value: Any, units: Mapping[str, int], expected: str) -> Rounded:
    """Parse a whole number, or a number with its unit, which is found whether in capitals or not."""
    text = f"{value:_}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    match = _ROUNDED.fullmatch(text)
    scale = units.get(match["unit"].upper()) if match is not None else None
    if match is None or scale is None or (match["fraction"] and scale == 1):
        raise fail(f"expected {expected}, found {shown(value)}")
    number = Decimal(match["whole"].replace("_", "") + "." + (match["fraction"] or "0"))
    digits = len(match["fraction"] or "")
    return Rounded(text, number * scale, digits, match["space"] + match["unit"], Decimal(scale))


def parse_macs(value: Any) -> Rounded:
    """Parse multiply-adds: a whole number, or a number with its unit."""
    return _parse_rounded(value, _COUNTS, "a count of multiply-adds such as 1.73 G or 416_520")


def parse_amount(value: Any) -> Rounded:
    """Parse an amount of memory that may be measured: a whole number of bytes, or a number with its unit."""
    return _parse_rounded(value, _BYTES, "an amount of memory such as 1.92 GiB, 500 MB or 416_520")


def parse_percent(value: Any) -> float:
    """Parse a percentage to a fraction: `15%` to 0.15."""
    number, _ = parse_quantity(value, "%") or (0, "")
    if not 0 < number < 100:
        raise fail(f"expected a percentage between 0% and 100%, such as 15%, found {shown(value)}")
    return number / 100


def parse_seconds(value: Any) -> float:
    """Parse a duration to seconds: a number of them, `60 s`, `2 min` or `1 h`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    number, unit = parse_quantity(value, _SECONDS) or (0, "")
    if number == 0:
        raise fail(f"expected a duration such as 60 s or 2 min, found {shown(value)}")
    return number * _SECONDS[unit]


def parse_memory(value: Any) -> int:
    """Parse an amount of memory to bytes: `2 GiB`, `500 MiB`."""
    number, _ = parse_quantity(value, ("MiB", "GiB")) or (0, "")
    if number == 0:
        raise fail(f"expected an amount of memory such as 2 GiB or 500 MiB, found {shown(value)}")
    return parse_bytes(value)


def parse_build(value: Any) -> str:
    """Check that a value is a build target, and return its text."""
    if not isinstance(value, str):
        raise fail(f"expected a build target such as mypackage.nets:resnet18, found {shown(value)}")
    try:
        parse_target(value)
    except ArchcheckError as error:
        raise fail(str(error)) from None
    return value


def parse_loop(value: Any) -> str:
    """Check that a value names a training loop, a function of the user's or Lightning's, and return its text."""
    if value == LIGHTNING:
        return LIGHTNING
    return _parse_function(value, "expected a training loop: mytrain:fit, path/mytrain.py:fit, or lightning")


def parse_inputs_from(value: Any) -> str:
    """Check that a value names a function that makes inputs, and return its text."""
    return _parse_function(value, "expected module:callable or path/file.py:callable")


def _parse_function(value: Any, expected: str) -> str:
    """Check that a value names something in a module or file of the user's."""
    try:
        if isinstance(value, str) and parse_target(value).kind in ("module", "path"):
            return value
    except ArchcheckError:
        pass
    raise fail(f"{expected}, found {shown(value)}")


def parse_size_list(value: Any) -> tuple[int, ...]:
    """Parse the sizes of a free dimension; a single one may stand by itself."""
    sizes = value if isinstance(value, list) else [value]
    for position, size in enumerate(sizes):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            path = (position,) if isinstance(value, list) else ()
            raise fail(f"expected a whole number of at least 1, found {shown(size)}", path)
    if not sizes:
        raise fail("expected at least one size, such as [224, 96]")
    return tuple(sizes)


def parse_count(value: Any) -> int:
    """Parse a number of elements."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise fail(f"expected a whole number such as 74_112, found {shown(value)}")
    if value < 0:
        raise fail(f"expected a whole number of at least 0, found {shown(value)}")
    return value


def iter_dims(pattern: ValuePattern, path: Keys = ()) -> Iterator[tuple[Keys, Dim]]:
    """Yield every dimension of a pattern with its path inside the value as it is written."""
    leaves = iter_leaves(pattern, path) if isinstance(pattern, tuple | dict) else [(path, pattern)]
    for place, leaf in leaves:
        if isinstance(leaf, TensorPattern):
            yield from (((*place, position), dim) for position, dim in enumerate(leaf.dims))
        elif isinstance(leaf, RepeatedPattern):
            yield from iter_dims(leaf.item, (*place, 0))
            if leaf.count is not None:
                yield (*place, 1), leaf.count


# ------------------------------------------------------------------------------------------- state_dict


@dataclass(frozen=True, slots=True)
class StateEntry:
    """The shape and dtype of one tensor of a state_dict; None where that isn't a tensor, or is left open."""

    shape: tuple[int, ...] | None
    dtype: str | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return "no tensor"
        dtype = "" if self.dtype in (None, "float32") else f" {self.dtype}"
        return f"[{', '.join(map(str, self.shape))}]{dtype}"

    def as_written(self) -> Any:
        """Return the value as a spec has it: a shape; with its dtype where that isn't float32; null for no tensor."""
        if self.shape is None:
            return None
        shape = list(self.shape)
        return shape if self.dtype in (None, "float32") else {"shape": shape, "dtype": self.dtype}


def parse_sha256(value: Any) -> str:
    """Parse the SHA-256 of a file."""
    if not isinstance(value, str) or re.fullmatch("[0-9a-fA-F]{64}", value) is None:
        raise fail(f"expected the SHA-256 of a file, 64 hexadecimal digits (in quotes), found {shown(value)}")
    return value.lower()


def parse_state_keys(value: Any) -> dict[str, StateEntry | None] | None:
    """Parse the keys of a state_dict: a list of names, a map of names and shapes; None for `recorded`."""
    if value == "recorded":
        return None
    if isinstance(value, list):
        for position, name in enumerate(value):
            if not isinstance(name, str):
                raise fail(f"expected the name of a parameter or buffer, found {shown(name)}", (position,))
            if name in value[:position]:
                raise fail(f"{key_text(name)} is there twice", (position,))
        return dict.fromkeys(value)
    if not isinstance(value, dict):
        raise fail(f"expected `recorded`, a list of names, or a map of names and shapes, found {shown(value)}")
    return {name: _parse_state_entry(item, (name,)) for name, item in value.items()}


def _parse_state_entry(value: Any, path: Keys) -> StateEntry:
    if value is None:
        return StateEntry(None)
    shape, dtype = value, "float32"
    if isinstance(value, dict):
        for key in value:
            if key not in ("shape", "dtype"):
                raise fail(unknown("key", key, ("shape", "dtype")), (*path, key))
        shape, dtype = value.get("shape"), value.get("dtype", "float32")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        found = clip(format_flow(shape)) if isinstance(shape, list) else shown(shape)
        raise fail(f"expected a shape of whole numbers such as [64, 3, 7, 7], found {found}", path)
    if not isinstance(dtype, str):
        raise fail(f"expected a dtype such as int64, found {shown(dtype)}", (*path, "dtype"))
    return StateEntry(tuple(shape), dtype)
