"""Dimensions inferred from sizes that were seen: `H/4` from 56 at 224 and 24 at 96."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import TypeAlias

from archcheck.errors import DimError
from archcheck.spec.dims import BATCH, parse_dim

_ELSEWHERE = 100  # what a name out of its place counts for, in forms
_SMALL_SHIFT = 8  # rows lost to unpadded convolutions, or tokens put in front
_KERNEL_SHIFT = 16  # rows lost to larger kernels: an even number
_SMALL_LOSS = 4  # rows lost at the borders, after the strides
_FAR_LOSS = 24  # the same where the sizes are many enough to tell
_TOKENS = (1, 2, -1, *range(3, _SMALL_SHIFT + 1))  # class and register tokens, the likeliest first
_DOUBLING = (2, 4, 8, 16, 32, 64)
_OTHER_STRIDES = (3, 5, 6, 7, 9, 10, 12, 14)


# Products of strides up to 7.
_STRIDES = tuple(by for by in range(2, 1025) if by == math.gcd(by, 2**10 * 3**6 * 5**4 * 7**3))


def infer_shape(
    shapes: Sequence[tuple[int, ...]], sizes: Sequence[Mapping[str, int]], hints: Sequence[str | None] = ()
) -> list[int | str] | None:
    """The simplest pattern that gives one tensor's shape at every binding; None where there is none.

    `shapes[i]` was seen at `sizes[i]`. `hints` names the dimensions in the order in which a tensor has them, the last
    for its last dimension, or for the one before where the last never varies: [B, H, W, 64]. A dimension is told by the
    name in that place if it can be. The batch (B) is only ever multiplied: a number of rows that depends on it in any
    other way depends on the data.
    """
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        return None
    columns = _columns(sizes, [hint for hint in hints if hint is not None])
    found = _best_layout(tuple(zip(*shapes, strict=True)), columns, tuple(hints))
    return _named_in_order(found, columns) if found is not None else None


def _columns(sizes: Sequence[Mapping[str, int]], order: Sequence[str]) -> tuple[_Column, ...]:
    """The names that vary, those without a hint (the batch) first; one that doesn't vary is as good as its size."""
    common = [name for name in sizes[0] if all(name in binding for binding in sizes)]
    names = [name for name in common if name not in order] + [name for name in dict.fromkeys(order) if name in common]
    columns = ((name, tuple(binding[name] for binding in sizes)) for name in names)
    return tuple((name, column) for name, column in columns if len(set(column)) > 1)


def _named_in_order(dims: Sequence[int | str], columns: Sequence[_Column]) -> list[int | str]:
    """Give names of the same sizes to as many dimensions in their order: [B, H/4, H/4, 64] is [B, H/4, W/4, 64]."""
    renamed = list(dims)
    for _, column in columns:
        names = [name for name, other in columns if other == column]
        uses = [i for i, dim in enumerate(dims) if len(parse_dim(dim).names) == 1 and parse_dim(dim).names <= {*names}]
        if len(names) == len(uses):
            for name, i in zip(names, uses, strict=True):
                renamed[i] = re.sub(r"\b(?!ceil\b)[A-Za-z_]\w*", name, str(dims[i]))
    return renamed


@lru_cache(maxsize=4096)
def _best_layout(
    dims: tuple[_Values, ...], columns: tuple[_Column, ...], hints: tuple[str | None, ...]
) -> tuple[int | str, ...] | None:
    """The dimensions told with the names in the layout in which that is simplest."""
    full = len(dims) >= len(hints) + 2  # a batch, channels, and all that the input has besides
    told = []
    for preferred in _layouts(dims, columns, hints, full):
        found = [_infer_dim(values, columns, name, full and name is not None) for values, name in preferred]
        layout = [one for one in found if one is not None]
        if len(layout) == len(dims):
            told.append(layout)
    best = min(told, key=lambda layout: sum(cost for cost, _ in layout), default=None)
    return tuple(dim for _, dim in best) if best is not None else None


def _layouts(
    dims: tuple[_Values, ...], columns: tuple[_Column, ...], hints: tuple[str | None, ...], full: bool
) -> Iterator[list[tuple[_Values, str | None]]]:
    """The dimensions and their names: those at the end; then before a last that doesn't vary, if all vary there."""
    last = len(dims) - len(hints)
    yield [(values, hints[i - last] if i >= last else None) for i, values in enumerate(dims)]
    if full and hints and len(set(dims[-1])) == 1:
        shifted = [(values, hints[i - last + 1] if i >= last - 1 else None) for i, values in enumerate(dims[:-1])]
        vary = {name for name, _ in columns}
        if all(len(set(values)) > 1 for values, name in shifted if name in vary):
            yield [*shifted, (dims[-1], None)]


@lru_cache(maxsize=4096)
def _infer_dim(values: _Values, columns: tuple[_Column, ...], preferred: str | None, sure: bool) -> _Found | None:
    """The dimension in the simplest form; one in another name than a `sure` preferred one is hardly believed."""
    if len(set(values)) == 1:
        return 0, values[0]
    bindings = [{name: column[i] for name, column in columns} for i in range(len(values))]
    candidates = _candidates(values, columns, preferred, sure)
    return next(((cost, text) for cost, text in candidates if _gives(text, values, bindings)), None)


def _gives(text: str, values: _Values, bindings: Sequence[Mapping[str, int]]) -> bool:
    try:
        dim = parse_dim(text)
        return all(dim.evaluate(binding) == value for binding, value in zip(bindings, values, strict=True))
    except DimError:
        return False


def _candidates(
    values: _Values, columns: tuple[_Column, ...], preferred: str | None, sure: bool
) -> Iterator[tuple[int, str]]:
    batch = [column for name, column in columns if name == BATCH]
    free = tuple(column for column in columns if column[0] != BATCH)
    here = [column for column in free if column[0] == preferred]
    there = [column for column in free if column[0] != preferred]
    yield from _alone(here, values, _FORMS if sure else _FORMS[:_SIMPLE], 1)
    if batch:
        yield from _in_batch(batch[0], values, free, preferred, sure)
    yield from _alone(there, values, _FORMS[:_PROPORTIONAL], _ELSEWHERE)
    yield from ((_ELSEWHERE, text) for text in _products(values, free, (0,), square=sure))
    if not sure:
        yield from _alone(here, values, _FORMS[_SIMPLE:], 1 + _SIMPLE)
        yield from _alone(there, values, _FORMS[_PROPORTIONAL:], _ELSEWHERE + _PROPORTIONAL)
    in_two = chain(_products(values, free, _TOKENS, square=True), () if sure else _of_two(values, free))
    yield from ((_ELSEWHERE + len(_FORMS), text) for text in in_two)


def _in_batch(
    batch: _Values, values: _Values, free: tuple[_Column, ...], preferred: str | None, sure: bool
) -> Iterator[tuple[int, str]]:
    """B, B*8, B*H/4*W/4, B/2: windows, heads or patches folded into the batch, but never B+5."""
    pairs = list(zip(batch, values, strict=True))
    if all(size and value % size == 0 for size, value in pairs):
        rest = _infer_dim(tuple(value // size for size, value in pairs), free, preferred, sure)
        if rest is not None:
            yield rest[0] + 1, _times(BATCH, rest[1])
    elif all(value and size % value == 0 for size, value in pairs):
        yield 1, f"{BATCH}/{batch[0] // values[0]}"


def _times(factor: str, inner: int | str) -> str:
    if inner == 1:
        return factor
    text = str(inner)
    return f"{factor}*({text})" if set("+-") & set(text) or "//" in text else f"{factor}*{text}"


def _alone(columns: Sequence[_Column], values: _Values, forms: Sequence[_Form], cost: int) -> Iterator[tuple[int, str]]:
    for i, form in enumerate(forms):
        for name, column in columns:
            yield from ((cost + i, text) for text in form(name, column, values))


def _many(column: _Values) -> bool:
    """Whether the sizes are more than the two that lie on a line whatever they are."""
    return len(set(column)) > 2


def _multiple(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H, H/4, H*4."""
    pairs = list(zip(column, values, strict=True))
    if column == values:
        yield name
    elif all(value and size % value == 0 for size, value in pairs):
        yield f"{name}/{column[0] // values[0]}"
    elif all(size and value % size == 0 for size, value in pairs):
        yield f"{name}*{values[0] // column[0]}"


def _strided(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """ceil(H/2), H//2: a strided layer at sizes that its stride doesn't divide."""
    pairs = list(zip(column, values, strict=True))
    for strides in (_DOUBLING, (3,)):
        yield from (f"ceil({name}/{by})" for by in strides if all(-(-size // by) == value for size, value in pairs))
        yield from (f"{name}//{by}" for by in strides if all(size // by == value for size, value in pairs))


def _ratio(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H*3/4: upsampled by 3 after strides of 4."""
    ratio = Fraction(values[0], column[0]) if column[0] else Fraction(0)
    if ratio and max(ratio.numerator, ratio.denominator) <= 16:
        yield f"{name}*{ratio.numerator}/{ratio.denominator}"


def _near_shift(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H-4: an unpadded convolution, T+1: a class token."""
    shift = values[0] - column[0]
    if abs(shift) <= min(_SMALL_SHIFT, max(_SMALL_LOSS, min(column) // 2)):
        yield f"{name}{shift:+d}"


def _near_line(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H/4-2, (H-1)/2, H*2+1: several layers with little lost at the borders."""
    slope = _slope(column, values)
    if slope.numerator == 1 and slope.denominator > 1:
        shift = values[0] * slope.denominator - column[0]
        divided = all(size % slope.denominator == 0 for size in column)
        if (divided or _many(column)) and abs(shift) <= _SMALL_LOSS * slope.denominator:
            yield _line(name, column, values, slope)
    elif slope > 1 and slope.denominator == 1 and abs(values[0] - slope * column[0]) <= _SMALL_SHIFT:
        yield _line(name, column, values, slope)


def _near_rounded(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """(H-7)//4, H//4-2: any stack of strided layers, for floors of floors are one floor."""
    return _rounded(name, column, values, _SMALL_LOSS)


def _upsampled(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """3*ceil(H/4), 2*(H//2): upsampled after strides that don't divide the size."""
    for by in (*_DOUBLING, *_OTHER_STRIDES):
        yield from (text for text, shift in _scaled(name, column, values, by) if shift == 0)


def _far(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H-14: larger kernels; and what only more than two sizes tell: other shifts, (H-120)//4, 2*ceil(H/4)-1."""
    shift = values[0] - column[0]
    if -_KERNEL_SHIFT <= shift < 0 and shift % 2 == 0 and -shift <= min(column) // 2:
        yield f"{name}{shift:+d}"
    if _many(column):
        if abs(shift) <= 4 * _KERNEL_SHIFT:
            yield f"{name}{shift:+d}"
        yield from _rounded(name, column, values, _FAR_LOSS)
        for by in (*_DOUBLING, *_OTHER_STRIDES):
            yield from (text for text, shift in _scaled(name, column, values, by) if abs(shift) <= _SMALL_SHIFT)


# From the most to the least plausible.
_FORMS: tuple[_Form, ...] = (
    _multiple,
    _strided,
    _ratio,
    _near_shift,
    _near_line,
    _near_rounded,
    _upsampled,
    _far,
)


_PROPORTIONAL = _FORMS.index(_strided)
_SIMPLE = _FORMS.index(_near_line)


def _slope(column: _Values, values: _Values) -> Fraction:
    """How much the dimension grows with the name; 0 where it isn't a function of it."""
    points = sorted(set(zip(column, values, strict=True)))
    if len({size for size, _ in points}) < max(len(points), 2):
        return Fraction(0)
    (low, first), (high, last) = points[0], points[-1]
    return Fraction(last - first, high - low)


def _line(name: str, column: _Values, values: _Values, slope: Fraction) -> str:
    times, over = slope.numerator, slope.denominator
    scaled = name if times == 1 else f"{name}*{times}"
    shift = values[0] * over - column[0] * times
    if over == 1:
        return _shifted(scaled, shift)
    if all(size % over == 0 for size in column):
        return _shifted(f"{scaled}/{over}", shift // over)
    return f"({scaled}{shift:+d})/{over}"


def _rounded(name: str, column: _Values, values: _Values, loss: int) -> Iterator[str]:
    """Floors that lose at most so many rows, those of strides that are powers of two and of small shifts first."""
    if _slope(column, values) <= 0:
        return
    found = []
    for stride in _possible_strides(max(column) - min(column), max(values) - min(values)):
        # floor((size + shift) / stride) is value for every shift from stride * value - size, stride of them.
        lowest = [stride * value - size for size, value in zip(column, values, strict=True)]
        shifts = range(max(lowest), min(lowest) + stride)
        least = 0 if stride - 1 in shifts else min(map(abs, shifts), default=math.inf) / stride
        if least <= loss:
            found.append(((stride.bit_count() != 1) + least, _floor(name, stride, shifts)))
    yield from (text for _, text in sorted(found))


def _possible_strides(spread: int, rise: int) -> list[int]:
    """Strides at which sizes so far apart give values so far apart."""
    most = (spread - 1) // (rise - 1) if rise > 1 else _DOUBLING[-1]
    return [stride for stride in _STRIDES if spread // (rise + 1) < stride <= most]


def _floor(name: str, stride: int, shifts: range) -> str:
    if stride - 1 in shifts:
        return f"ceil({name}/{stride})"
    whole = [shift for shift in shifts if shift % stride == 0]
    if whole:
        return _shifted(f"{name}//{stride}", min(whole, key=abs) // stride)
    # Odd kernels make odd shifts, where the stride is even.
    shift = min(shifts, key=lambda shift: (stride % 2 == 0 and shift % 2 == 0, abs(shift)))
    return f"({_shifted(name, shift)})//{stride}"


def _scaled(name: str, column: _Values, values: _Values, by: int) -> Iterator[tuple[str, int]]:
    """The sizes rounded, times a whole number, and what is to be added to it."""
    low, high = column.index(min(column)), column.index(max(column))
    rounded = (
        (f"ceil({name}/{by})", -(-column[low] // by), -(-column[high] // by)),
        (f"({name}//{by})", column[low] // by, column[high] // by),
    )
    for text, first, last in rounded:
        times, left = divmod(values[high] - values[low], last - first) if last > first else (0, 0)
        if times > 1 and left == 0:
            shift = values[low] - times * first
            yield _shifted(f"{times}*{text}", shift), shift


def _of_two(values: _Values, columns: tuple[_Column, ...]) -> Iterator[str]:
    yield from _sums(values, columns)
    yield from _rounded_products(values, columns)


def _pairs(columns: tuple[_Column, ...]) -> Iterator[tuple[_Column, _Column]]:
    """Two names in the order of the columns, then a name with itself."""
    yield from itertools.combinations(columns, 2)
    yield from ((column, column) for column in columns)


def _products(values: _Values, columns: tuple[_Column, ...], shifts: Sequence[int], *, square: bool) -> Iterator[str]:
    """H/16*W/16+1: patches flattened to tokens, and a class token; 3*H/4*W/4: channels flattened too."""
    for left, right in _pairs(columns):
        for shift in shifts if left != right else shifts[:2]:
            ratio = Fraction(left[1][0] * right[1][0], values[0] - shift) if values[0] > shift else Fraction(0)
            if not ratio or (shift and 1 not in (ratio.numerator, ratio.denominator)):
                continue
            product, is_square = _product(left, right, ratio)
            if is_square or not square:
                yield _shifted(product, shift)


def _shifted(text: str, shift: int) -> str:
    return f"{text}{shift:+d}" if shift else text


def _product(left: _Column, right: _Column, ratio: Fraction) -> tuple[str, bool]:
    """The product over the ratio, and whether that divides both names alike, as square patches do."""
    times, over = ratio.denominator, ratio.numerator
    root = math.isqrt(over)
    square = root * root == over and not any(size % root for size in (*left[1], *right[1]))
    if over == 1:
        product = f"{left[0]}*{right[0]}"
    elif square:
        product = f"{left[0]}/{root}*{right[0]}/{root}"
    else:
        product = f"{left[0]}*{right[0]}/{over}"
    return f"{times}*{product}" if times > 1 else product, square


def _rounded_products(values: _Values, columns: tuple[_Column, ...]) -> Iterator[str]:
    """ceil(H/16)*ceil(W/16)+1: the same at sizes that the patch doesn't divide."""
    for (left, right), shift, by in itertools.product(_pairs(columns), range(_SMALL_SHIFT + 1), _DOUBLING):
        ceils = -(-left[1][0] // by) * -(-right[1][0] // by)
        floors = (left[1][0] // by) * (right[1][0] // by)
        forms = (
            (ceils, f"ceil({left[0]}/{by})*ceil({right[0]}/{by})"),
            (floors, f"({left[0]}//{by})*({right[0]}//{by})"),
        )
        for count, text in forms:
            times, left_over = divmod(values[0] - shift, count) if count else (0, 1)
            likely = shift == 0 or _many(left[1]) or (times == 1 and (left != right or shift == 1))
            if left_over == 0 and times > 0 and likely:
                yield _shifted(f"{times}*{text}" if times > 1 else text, shift)


def _sums(values: _Values, columns: tuple[_Column, ...]) -> Iterator[str]:
    """T+S: two sequences, one after the other."""
    for (left, left_sizes), (right, right_sizes) in itertools.combinations(columns, 2):
        shift = values[0] - left_sizes[0] - right_sizes[0]
        if abs(shift) <= (_SMALL_SHIFT if _many(left_sizes) else 2):
            yield _shifted(f"{left}+{right}", shift)


_Column: TypeAlias = tuple[str, tuple[int, ...]]


_Values: TypeAlias = tuple[int, ...]


_Form: TypeAlias = Callable[[str, _Values, _Values], Iterator[str]]


_Found: TypeAlias = tuple[int, "int | str"]  # how far down the list of forms, and the dimension
