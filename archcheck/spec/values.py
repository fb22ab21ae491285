"""The values that a spec is written in: shape patterns, inputs, layer names, counts, durations.

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
from archcheck.text.words import shown

# ------------------------------------------------------------------------------------------- shape patterns


@dataclass(frozen=True, slots=True)
class TensorPattern:
    """The expected sizes of one tensor, such as `[B, 64, H/4, W/4]`."""

    dims: tuple[Dim, ...]

    def __str__(self) -> str:
        return format_shape(self.dims)

    def evaluate(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The sizes at the given values of the free dimensions; raises DimError where there are none."""
        return tuple(dim.evaluate(sizes) for dim in self.dims)


ValuePattern: TypeAlias = "TensorPattern | tuple[ValuePattern, ...] | dict[str, ValuePattern] | None"


def fail(message: str, path: Keys = ()) -> PydanticCustomError:
    """An error of one value; `path` leads to the place inside it."""
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
    """A shape, a list or map of them where a tuple or dict is returned, or null where no tensor is."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {str(key): _parse_pattern(item, (*path, key)) for key, item in value.items()}
    if not isinstance(value, list):
        raise fail(f"expected a shape such as [B, 64, H/4, W/4], found {shown(value)}", path)
    if all(type(item) is int or type(item) is str for item in value):
        return _parse_shape(tuple(value), path)
    if any(isinstance(item, (list, dict)) or item is None for item in value):
        return tuple(_parse_pattern(item, (*path, position)) for position, item in enumerate(value))
    return TensorPattern(parse_dims(value, path))


def _parse_shape(value: tuple[int | str, ...], path: Keys) -> TensorPattern:
    try:
        return _known_shape(value)
    except DimError:
        return TensorPattern(parse_dims(value, path))  # again, for the place of what is wrong


@functools.lru_cache(maxsize=4096)
def _known_shape(value: tuple[int | str, ...]) -> TensorPattern:
    """A shape by its text: the layers of a repository have few of them."""
    return TensorPattern(parse_shape(value))


def parse_output(value: Any) -> ValuePattern:
    """The `output` of a layer or of the network."""
    if value is None:
        raise fail("expected a shape such as [B, 10], found nothing")
    return _parse_pattern(value)


# ------------------------------------------------------------------------------------------- scalars


@dataclass(frozen=True, slots=True)
class Macs:
    """Multiply-adds as written: equal to a count that rounds to the digits written."""

    text: str
    value: Decimal
    resolution: Decimal  # of the last digit written

    def matches(self, macs: int) -> bool:
        """True when `macs` is the written number after rounding to its digits (a tie rounds either way)."""
        return abs(Decimal(macs) - self.value) <= (self.resolution / 2 if self.resolution > 1 else 0)

    def reformat(self, macs: int) -> str:
        """Another count in the same unit, with the same number of decimals."""
        match = MACS.fullmatch(self.text)
        if match is None or not match["unit"]:
            return f"{macs:_}"
        digits = len(match["fraction"] or "")
        return f"{Decimal(macs) / UNITS[match['unit'].upper()]:.{digits}f}{match['space']}{match['unit']}"


UNITS = {"": Decimal(1), "K": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12)}
MACS = re.compile(r"(?P<whole>\d+(?:_\d+)*)(?:\.(?P<fraction>\d+))?(?P<space> ?)(?P<unit>[kKMGT]?)")


def parse_macs(value: Any) -> Macs:
    """Multiply-adds: a whole number, or a number with its unit."""
    text = f"{value:_}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    match = MACS.fullmatch(text)
    if match is None or (match["fraction"] and not match["unit"]):
        raise fail(f"expected a count of multiply-adds such as 1.73 G or 416_520, found {shown(value)}")
    unit = UNITS[match["unit"].upper()]
    number = Decimal(match["whole"].replace("_", "") + "." + (match["fraction"] or "0"))
    return Macs(text, number * unit, unit / 10 ** len(match["fraction"] or ""))


def parse_percent(value: Any) -> float:
    """`15%` as 0.15."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value) if isinstance(value, str) else None
    if match is None or not 0 < float(match[1]) < 100:
        raise fail(f"expected a percentage between 0% and 100%, such as 15%, found {shown(value)}")
    return float(match[1]) / 100


def parse_seconds(value: Any) -> float:
    """A duration in seconds: a number, `60 s`, `2 min` or `1 h`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise fail(f"expected a duration such as 60 s or 2 min, found {shown(value)}")
    return float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]


def parse_memory(value: Any) -> int:
    """An amount of memory in bytes: `2 GiB`, `500 MiB`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MiB|GiB)", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise fail(f"expected an amount of memory such as 2 GiB or 500 MiB, found {shown(value)}")
    return int(float(match[1]) * {"MiB": 2**20, "GiB": 2**30}[match[2]])


def parse_build(value: Any) -> str:
    """A build target, as text."""
    if not isinstance(value, str):
        raise fail(f"expected a build target such as mypackage.nets:resnet18, found {shown(value)}")
    try:
        parse_target(value)
    except ArchcheckError as error:
        raise fail(str(error)) from None
    return value


def parse_size_list(value: Any) -> tuple[int, ...]:
    """The sizes of a free dimension; a single one may stand by itself."""
    sizes = value if isinstance(value, list) else [value]
    for position, size in enumerate(sizes):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            path = (position,) if isinstance(value, list) else ()
            raise fail(f"expected a whole number of at least 1, found {shown(size)}", path)
    if not sizes:
        raise fail("expected at least one size, such as [224, 96]")
    return tuple(sizes)


def parse_count(value: Any) -> int:
    """A number of elements."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise fail(f"expected a whole number such as 74_112, found {shown(value)}")
    return value


# ------------------------------------------------------------------------------------------- inputs to make


def iter_tensor_patterns(pattern: ValuePattern, path: Keys = ()) -> Iterator[tuple[Keys, TensorPattern]]:
    """Every tensor of a pattern with its path inside the value."""
    if isinstance(pattern, TensorPattern):
        yield path, pattern
    elif pattern is not None:
        for key, item in pattern.items() if isinstance(pattern, dict) else enumerate(pattern):
            yield from iter_tensor_patterns(item, (*path, key))
