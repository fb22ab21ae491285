"""Forms that a dimension may have in one or two names, such as `H/4`, `ceil(H/2)` or `H/16*W/16+1`.

`FORMS` are those in one name, from the most to the least plausible for a layer. A form is tried with a name, the sizes
that it had (its column) and the values that the dimension had at them, binding by binding; it yields the texts that may
give these values, not all of them checked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TypeAlias

_SMALL_SHIFT = 8  # rows lost to unpadded convolutions, or tokens put in front
_KERNEL_SHIFT = 16  # rows lost to larger kernels: an even number
_SMALL_LOSS = 4  # rows lost at the borders, after the strides
_FAR_LOSS = 24  # the same where the sizes are many enough to tell
_DOUBLING = (2, 4, 8, 16, 32, 64)
_OTHER_STRIDES = (3, 5, 6, 7, 9, 10, 12, 14)
_STRIDES = tuple(by for by in range(2, 1025) if by == math.gcd(by, 2**10 * 3**6 * 5**4 * 7**3))  # of strides up to 7
TOKENS = (1, 2, -1, *range(3, _SMALL_SHIFT + 1))  # class and register tokens, the likeliest first

Column: TypeAlias = tuple[str, tuple[int, ...]]  # a name and its sizes
Values: TypeAlias = tuple[int, ...]
Form: TypeAlias = Callable[[str, Values, Values], Iterator[str]]


# ------------------------------------------------------------------------------------------- in one name


def _many(column: Values) -> bool:
    """Return whether the sizes are more than the two that lie on a line whatever they are."""
    return len(set(column)) > 2


def _multiple(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield H, H/4 or H*4."""
    pairs = list(zip(column, values, strict=True))
    if column == values:
        yield name
    elif all(value and size % value == 0 for size, value in pairs):
        yield f"{name}/{column[0] // values[0]}"
    elif all(size and value % size == 0 for size, value in pairs):
        yield f"{name}*{values[0] // column[0]}"


def _strided(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield ceil(H/2) or H//2: a strided layer at sizes that its stride doesn't divide."""
    pairs = list(zip(column, values, strict=True))
    for strides in (_DOUBLING, (3,)):
        yield from (f"ceil({name}/{by})" for by in strides if all(-(-size // by) == value for size, value in pairs))
        yield from (f"{name}//{by}" for by in strides if all(size // by == value for size, value in pairs))


def _ratio(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield H*3/4: upsampled by 3 after strides of 4."""
    ratio = Fraction(values[0], column[0]) if column[0] else Fraction(0)
    if ratio and max(ratio.numerator, ratio.denominator) <= 16:
        yield f"{name}*{ratio.numerator}/{ratio.denominator}"


def _near_shift(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield H-4, an unpadded convolution, or T+1, a class token."""
    shift = values[0] - column[0]
    if abs(shift) <= min(_SMALL_SHIFT, max(_SMALL_LOSS, min(column) // 2)):
        yield f"{name}{shift:+d}"


def _near_line(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield H/4-2, (H-1)/2 or H*2+1: several layers with little lost at the borders."""
    slope = _slope(column, values)
    if slope.numerator == 1 and slope.denominator > 1:
        shift = values[0] * slope.denominator - column[0]
        divided = all(size % slope.denominator == 0 for size in column)
        if (divided or _many(column)) and abs(shift) <= _SMALL_LOSS * slope.denominator:
            yield _line(name, column, values, slope)
    elif slope > 1 and slope.denominator == 1 and abs(values[0] - slope * column[0]) <= _SMALL_SHIFT:
        yield _line(name, column, values, slope)


def _near_rounded(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield (H-7)//4 or H//4-2: any stack of strided layers, for floors of floors are one floor."""
    return _rounded(name, column, values, _SMALL_LOSS)


def _upsampled(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield 3*ceil(H/4) or 2*(H//2): upsampled after strides that don't divide the size."""
    for by in (*_DOUBLING, *_OTHER_STRIDES):
        yield from (text for text, shift in _scaled(name, column, values, by) if shift == 0)


def _far(name: str, column: Values, values: Values) -> Iterator[str]:
    """Yield H-14, larger kernels; and what only more than two sizes tell: other shifts, (H-120)//4, 2*ceil(H/4)-1."""
    shift = values[0] - column[0]
    if -_KERNEL_SHIFT <= shift < 0 and shift % 2 == 0 and -shift <= min(column) // 2:
        yield f"{name}{shift:+d}"
    if _many(column):
        if abs(shift) <= 4 * _KERNEL_SHIFT:
            yield f"{name}{shift:+d}"
        yield from _rounded(name, column, values, _FAR_LOSS)
        for by in (*_DOUBLING, *_OTHER_STRIDES):
            yield from (text for text, shift in _scaled(name, column, values, by) if abs(shift) <= _SMALL_SHIFT)


FORMS: tuple[Form, ...] = (_multiple, _strided, _ratio, _near_shift, _near_line, _near_rounded, _upsampled, _far)
PROPORTIONAL = FORMS.index(_strided)  # the forms before it are multiples
SIMPLE = FORMS.index(_near_line)  # the forms before it lose next to nothing at the borders


def _slope(column: Values, values: Values) -> Fraction:
    """Return how much the dimension grows with the name; 0 where it isn't a function of it."""
    points = sorted(set(zip(column, values, strict=True)))
    if len({size for size, _ in points}) < max(len(points), 2):
        return Fraction(0)
    (low, first), (high, last) = points[0], points[-1]
    return Fraction(last - first, high - low)


def _line(name: str, column: Values, values: Values, slope: Fraction) -> str:
    times, over = slope.numerator, slope.denominator
    scaled = name if times == 1 else f"{name}*{times}"
    shift = values[0] * over - column[0] * times
    if over == 1:
        return _shifted(scaled, shift)
    if all(size % over == 0 for size in column):
        return _shifted(f"{scaled}/{over}", shift // over)
    return f"({scaled}{shift:+d})/{over}"


def _rounded(name: str, column: Values, values: Values, loss: int) -> Iterator[str]:
    """Yield floors that lose at most so many rows: strides that are powers of two, and small shifts, first."""
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
    """Return the strides at which sizes so far apart give values so far apart."""
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


def _scaled(name: str, column: Values, values: Values, by: int) -> Iterator[tuple[str, int]]:
    """Yield the sizes rounded, times a whole number and shifted, with the shift."""
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


# ------------------------------------------------------------------------------------------- in two names


def of_two(values: Values, columns: tuple[Column, ...]) -> Iterator[str]:
    """Yield forms in two names at sizes that no patch divides: T+S, ceil(H/16)*ceil(W/16)+1."""
    yield from _sums(values, columns)
    yield from _rounded_products(values, columns)


def _pairs(columns: tuple[Column, ...]) -> Iterator[tuple[Column, Column]]:
    """Yield two names in the order of the columns, then a name with itself."""
    yield from itertools.combinations(columns, 2)
    yield from ((column, column) for column in columns)


def products(values: Values, columns: tuple[Column, ...], shifts: Sequence[int], *, square: bool) -> Iterator[str]:
    """Yield H/16*W/16+1, patches as tokens and a class token; or 3*H/4*W/4, channels flattened too."""
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


def _product(left: Column, right: Column, ratio: Fraction) -> tuple[str, bool]:
    """Return the product over the ratio, and whether that divides both names alike, as square patches do."""
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


def _rounded_products(values: Values, columns: tuple[Column, ...]) -> Iterator[str]:
    """Yield ceil(H/16)*ceil(W/16)+1: tokens at sizes that the patch doesn't divide."""
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


def _sums(values: Values, columns: tuple[Column, ...]) -> Iterator[str]:
    """Yield T+S: two sequences, one after the other."""
    for (left, left_sizes), (right, right_sizes) in itertools.combinations(columns, 2):
        shift = values[0] - left_sizes[0] - right_sizes[0]
        if abs(shift) <= (_SMALL_SHIFT if _many(left_sizes) else 2):
            yield _shifted(f"{left}+{right}", shift)
