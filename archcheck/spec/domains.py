"""The values that an input may have: bounds, an order, a sum, a choice.

A domain is written beside an input's shape (`{shape: [B, T], dtype: float32, between: [0, 1]}`). Bounds of a pattern
may be dimensions (`below: T`); at given sizes they are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from archcheck.errors import DimError
from archcheck.findings import Keys
from archcheck.spec.dims import Dim, parse_dim
from archcheck.spec.values import fail
from archcheck.text.words import shown

Order: TypeAlias = Literal["ascending", "descending"]
Bound: TypeAlias = "int | float | Dim"

INTEGER_DTYPES: Final = ("int64", "int32", "int16", "int8", "uint8")
BOUNDS: Final = ("between", "at_least", "above", "at_most", "below")
DOMAIN_KEYS: Final = (*BOUNDS, "sorted", "unique", "sums_to", "one_of")


@dataclass(frozen=True, slots=True)
class Domain:
    """What values an input has.

    Attributes:
        at_least, above: the smallest value, or one that is smaller than all.
        at_most, below: the largest value, or one that is larger than all.
        order: of the values along the last dimension.
        unique: whether no value comes twice along the last dimension.
        sums_to: the sum of positive values along the last dimension.
        one_of: the values to choose from.
    """

    at_least: Bound | None = None
    above: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None
    order: Order | None = None
    unique: bool = False
    sums_to: float | None = None
    one_of: tuple[int | float, ...] = ()

    @property
    def dims(self) -> Iterator[tuple[str, Dim]]:
        """Return the bounds that are dimensions, by their keys."""
        bounds = {"at_least": self.at_least, "above": self.above, "at_most": self.at_most, "below": self.below}
        return ((key, bound) for key, bound in bounds.items() if isinstance(bound, Dim))

    @property
    def is_bounded(self) -> bool:
        """Whether the values have a largest and a smallest one, where the smallest of whole numbers may be 0."""
        return self.at_most is not None or self.below is not None or bool(self.one_of)

    def at(self, sizes: Mapping[str, int]) -> Domain:
        """Return the domain at the given values of the free dimensions. Raises DimError."""
        evaluated: dict[str, Any] = {key: dim.evaluate(sizes) for key, dim in self.dims}
        return replace(self, **evaluated)

    def whole_numbers(self) -> tuple[int, int]:
        """Return the smallest and the largest whole number; only of a domain at sizes.

        Without a smallest one it is 0, without a largest one 3 more than the smallest.
        """
        low = 0
        if self.at_least is not None:
            low = math.ceil(_number(self.at_least))
        elif self.above is not None:
            low = math.floor(_number(self.above)) + 1
        if self.at_most is not None:
            return low, math.floor(_number(self.at_most))
        return low, low + 3 if self.below is None else math.ceil(_number(self.below)) - 1

    def real_numbers(self) -> tuple[float, float]:
        """Return the ends of an interval to draw from; only of a domain at sizes. An open side is 2 wide."""
        low = self.at_least if self.at_least is not None else self.above
        high = self.at_most if self.at_most is not None else self.below
        if low is None and high is None:
            return -math.sqrt(3), math.sqrt(3)
        if low is None:
            return _number(high) - 2, _number(high)
        return _number(low), _number(low) + 2 if high is None else _number(high)


ANYTHING: Final = Domain()


def _number(bound: Bound | None) -> float:
    assert isinstance(bound, (int, float))
    return bound


# ------------------------------------------------------------------------------------------- parsing


def parse_domain(value: Mapping[str, Any], dtype: str, path: Keys) -> Domain:
    """Parse the keys of a domain beside a shape and a dtype; an error says at which key."""
    written = {key: value[key] for key in DOMAIN_KEYS if value.get(key) is not None}
    if not written:
        return ANYTHING
    if dtype == "bool" or dtype.startswith("complex"):
        key = next(iter(written))
        raise fail(f"inputs of {dtype} have no {key}: only whole and real numbers are bounded", (*path, key))
    bounds = _parse_bounds(written, path)
    domain = Domain(
        **bounds,
        order=_parse_order(written.get("sorted"), (*path, "sorted")),
        unique=_parse_flag(written.get("unique"), (*path, "unique")),
        sums_to=_parse_sum(written, dtype, (*path, "sums_to")),
        one_of=_parse_choice(written, dtype, (*path, "one_of")),
    )
    _refuse_empty(domain, written, dtype, path)
    return domain


def has_whole_bounds(value: Mapping[str, Any]) -> bool:
    """Return whether bounds speak of whole numbers unless a dtype says otherwise: `below: 100`, or a dimension."""
    between = value.get("between")
    ends = [*(value.get(key) for key in BOUNDS[1:]), *(between if isinstance(between, list) else ())]
    if any(isinstance(end, float) for end in ends):
        return False
    return value.get("below") is not None or any(isinstance(end, str) for end in ends)


def _parse_bounds(written: Mapping[str, Any], path: Keys) -> dict[str, Any]:
    bounds = {key: _parse_bound(written[key], (*path, key)) for key in BOUNDS[1:] if key in written}
    if "between" in written:
        ends = written["between"]
        if not isinstance(ends, list) or len(ends) != 2:
            expected = "expected the smallest and the largest value, as in [0, 1]"
            raise fail(f"{expected}, found {shown(ends)}", (*path, "between"))
        if bounds:
            key = next(iter(bounds))
            raise fail(f"`between` is both bounds already: leave out {key}", (*path, key))
        low, high = (_parse_bound(end, (*path, "between", position)) for position, end in enumerate(ends))
        return {"at_least": low, "at_most": high}
    for one, other in (("at_least", "above"), ("at_most", "below")):
        if one in bounds and other in bounds:
            raise fail(f"one bound is enough: {one} or {other}", (*path, other))
    return bounds


def _parse_bound(value: Any, path: Keys) -> Bound:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if isinstance(value, str):
        try:
            return parse_dim(value)
        except DimError as error:
            raise fail(str(error), path) from None
    raise fail(f"expected a number, or a dimension such as T, found {shown(value)}", path)


# The smallest and the largest value of each dtype.
_RANGES: Final = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "uint8": (0, 255),
    "float16": (-65504.0, 65504.0),
    "bfloat16": (-3.3895e38, 3.3895e38),
    "float32": (-3.4028e38, 3.4028e38),
    "float64": (-1.7976e308, 1.7976e308),
}


def _parse_order(value: Any, path: Keys) -> Order | None:
    if value is None or value is False:
        return None
    if value is True or value == "ascending":
        return "ascending"
    if value == "descending":
        return "descending"
    raise fail(f"expected true or descending, found {shown(value)}", path)


def _parse_flag(value: Any, path: Keys) -> bool:
    if value is not None and not isinstance(value, bool):
        raise fail(f"expected true or false, found {shown(value)}", path)
    return bool(value)


def _parse_sum(written: Mapping[str, Any], dtype: str, path: Keys) -> float | None:
    value = written.get("sums_to")
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
        raise fail(f"expected a number above 0, such as 1, found {shown(value)}", path)
    others = [key for key in written if key not in ("sums_to", "sorted")]
    if others or dtype in INTEGER_DTYPES:
        reason = f"leave out {others[0]}" if others else f"{dtype} can't: dtype: float32"
        raise fail(f"positive numbers with a sum, and nothing else: {reason}", path)
    return float(value)


def _parse_choice(written: Mapping[str, Any], dtype: str, path: Keys) -> tuple[int | float, ...]:
    value = written.get("one_of")
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        raise fail(f"expected a list of values such as [1, 2, 5], found {shown(value)}", path)
    for position, item in enumerate(value):
        is_number = isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item)
        if not is_number or (dtype in INTEGER_DTYPES and not isinstance(item, int)):
            kind = "whole number" if dtype in INTEGER_DTYPES else "number"
            raise fail(f"expected a {kind}, found {shown(item)}", (*path, position))
    others = [key for key in written if key in (*BOUNDS, "unique")]
    if others:
        raise fail(f"the values are listed: leave out {others[0]}", (*path[:-1], others[0]))
    return tuple(value)


def _refuse_empty(domain: Domain, written: Mapping[str, Any], dtype: str, path: Keys) -> None:
    """Refuse bounds between which there is no value, where no dimension is among them."""
    if domain.one_of:
        least, most = _RANGES[dtype]
        outside = [position for position, value in enumerate(domain.one_of) if not least <= value <= most]
        if outside:
            raise fail(f"{dtype} is from {least:g} to {most:g}", (*path, "one_of", outside[0]))
    if any(domain.dims) or not any(key in written for key in BOUNDS):
        return
    problem = describe_emptiness(domain, dtype)
    if problem is not None:
        raise fail(problem, (*path, next(key for key in reversed(BOUNDS) if key in written)))


def describe_emptiness(domain: Domain, dtype: str) -> str | None:
    """Say that a domain at sizes has no value of a dtype; None where it has one."""
    if dtype in INTEGER_DTYPES:
        low, high = domain.whole_numbers()
        if low > high:
            return f"no whole number is from {low} to {high}"
        return _describe_range(low, high, dtype)
    low_end, high_end = domain.real_numbers()
    is_open = domain.above is not None or domain.below is not None
    empty = low_end > high_end or (is_open and low_end == high_end)
    if empty:
        return f"no number is from {low_end:g} to {high_end:g}"
    return _describe_range(low_end, high_end, dtype)


def _describe_range(low: float, high: float, dtype: str) -> str | None:
    least, most = _RANGES.get(dtype, (-math.inf, math.inf))
    return (
        f"{dtype} is from {least:g} to {most:g}, not from {low:g} to {high:g}" if low < least or high > most else None
    )


def describe_repetition(domain: Domain, dtype: str, shape: Sequence[int]) -> str | None:
    """Say that `unique` can't be, as a row is longer than there are values; None where it can."""
    if not domain.unique or dtype not in INTEGER_DTYPES or not shape:
        return None
    low, high = domain.whole_numbers()
    return f"unique: {shape[-1]} numbers of {high - low + 1}" if shape[-1] > high - low + 1 else None
