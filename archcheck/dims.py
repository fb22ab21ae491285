"""Shape patterns: parse `[B, 64, H/4, W/4]`, evaluate it at sizes, and infer it from shapes that were seen.

A dimension is arithmetic on names and whole numbers with `+ - * / // ceil()` and parentheses. It is computed exactly,
in fractions: only its final value has to be whole, so that `H/4*W/4` and `ceil(H/4)` mean what they say.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import NoReturn, TypeAlias

from archcheck.errors import DimError

MAX_CHARS = 200
MAX_DEPTH = 20
MAX_SIZE = 2**63 - 1  # torch's own

_TOKEN = re.compile(r"\s*(?:([0-9]+(?:_[0-9]+)*(?![0-9A-Za-z_.]))|([A-Za-z_][A-Za-z0-9_]*)|(//|[-+*/()]))", re.ASCII)
_WORD = re.compile(r"[\w.]+|.", re.DOTALL)
_OPERAND = "a whole number, a name, ceil(...) or parentheses"

_Number: TypeAlias = "int | Fraction"


# ---------------------------------------------------------------------------------------------- one dimension


@dataclass(frozen=True, slots=True)
class _Operation:
    """A step of a dimension's program: takes `arity` values off the stack and puts one back."""

    arity: int
    apply: Callable[..., _Number]


@dataclass(frozen=True, slots=True)
class Dim:
    """One dimension of a shape pattern; `text` is how it was written, without spaces."""

    text: str
    names: frozenset[str] = field(compare=False)
    _program: tuple[int | str | _Operation, ...] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The dimension at the given values of the names.

        Raises:
            DimError: a name has no value, or the result is no possible size of a tensor.
        """
        if len(self._program) == 1 and isinstance(self._program[0], int):
            return self._program[0]
        return self._checked(self._run(sizes), sizes)

    def _run(self, sizes: Mapping[str, int]) -> _Number:
        stack: list[_Number] = []
        for step in self._program:
            if isinstance(step, int):
                stack.append(step)
            elif isinstance(step, str):
                stack.append(self._lookup(step, sizes))
            else:
                operands = stack[-step.arity :]
                del stack[-step.arity :]
                try:
                    stack.append(step.apply(*operands))
                except ZeroDivisionError:
                    raise DimError(f"{self.text} divides by zero{self._at(sizes)}") from None
        return stack[0]

    def _lookup(self, name: str, sizes: Mapping[str, int]) -> int:
        try:
            return sizes[name]
        except KeyError:
            raise DimError(f"unknown dimension {name} (known: {', '.join(sizes) or 'none'})") from None

    def _checked(self, value: _Number, sizes: Mapping[str, int]) -> int:
        if value != int(value):
            raise DimError(f"{self.text} is not a whole number{self._at(sizes)}")
        if value > MAX_SIZE:
            raise DimError(f"{self.text} is more than any tensor's size{self._at(sizes)}")
        if value < 1:
            found = int(value) if value >= -MAX_SIZE else "far below zero"
            raise DimError(f"{self.text} is {found}{self._at(sizes)}: expected at least 1")
        return int(value)

    def _at(self, sizes: Mapping[str, int]) -> str:
        names = dict.fromkeys(step for step in self._program if isinstance(step, str))
        return " at " + ", ".join(f"{name}={sizes[name]}" for name in names) if names else ""


def parse_dim(value: int | str) -> Dim:
    """Parse one dimension.

    Raises:
        DimError: it is no size and no arithmetic on names and whole numbers; says what was expected.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DimError(f"expected a whole number or arithmetic on dimension names, found {_shown(str(value))}")
    if value < 0:
        raise DimError(f"{_shown(str(value))}: expected 0 or more" if value > -MAX_SIZE else "expected 0 or more")
    if value > MAX_SIZE:
        raise DimError("a whole number that is more than any tensor's size")
    return Dim(str(value), frozenset(), (value,))


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Dim:
    if len(text) > MAX_CHARS:
        raise DimError(f"{_shown(text)}: expected at most {MAX_CHARS} characters, found {len(text):,}")
    return _Parser(text).parse()


def _shown(text: str) -> str:
    """Text in quotes for a message: on one line, and not too long."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


# ---------------------------------------------------------------------------------------------- parsing


def _divide(left: _Number, right: _Number) -> _Number:
    # Whole numbers where that's exact: fractions are ten times slower, and a suite evaluates a million dimensions.
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return Fraction(left) / right


_BINARY = {
    "+": _Operation(2, operator.add),
    "-": _Operation(2, operator.sub),
    "*": _Operation(2, operator.mul),
    "/": _Operation(2, _divide),
    "//": _Operation(2, operator.floordiv),
}
_NEGATE = _Operation(1, operator.neg)
_CEIL = _Operation(1, math.ceil)


class _Parser:
    """Recursive descent over one text, to a program in postfix order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize()
        self._position = 0
        self._depth = 0
        self._program: list[int | str | _Operation] = []

    def parse(self) -> Dim:
        self._sum()
        if self._peek() is not None:
            self._fail("an operator or the end")
        names = frozenset(step for step in self._program if isinstance(step, str))
        return Dim("".join(self._tokens), names, tuple(self._program))

    def _tokenize(self) -> list[str]:
        tokens, end, text = [], 0, self._text.rstrip()
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                found = _shown(_WORD.match(text[end:].lstrip())[0])  # type: ignore[index]
                expected = "whole numbers, names, + - * / //, ceil() and parentheses"
                raise DimError(f"{_shown(self._text)}: expected {expected}, found {found}")
            tokens.append(match[0].lstrip())
            end = match.end()
        return tokens

    def _peek(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        """The next token, where it is one of those wanted."""
        token = self._peek()
        if token not in wanted:
            return None
        self._position += 1
        return token

    def _sum(self) -> None:
        self._product()
        while token := self._take("+", "-"):
            self._product()
            self._program.append(_BINARY[token])

    def _product(self) -> None:
        self._operand()
        while token := self._take("*", "/", "//"):
            self._operand()
            self._program.append(_BINARY[token])

    def _operand(self) -> None:
        token = self._peek()
        if token is None or token in _BINARY.keys() - {"-"} or token == ")":
            self._fail(_OPERAND)
        self._position += 1
        if token == "-":
            self._nested(self._operand)
            self._program.append(_NEGATE)
        elif token == "(":
            self._parenthesized()
        elif token[0].isdigit():
            self._program.append(self._whole(token))
        else:
            self._named(token)

    def _named(self, name: str) -> None:
        if name == "ceil":
            if not self._take("("):
                self._fail("( after ceil")
            self._parenthesized()
            self._program.append(_CEIL)
        elif self._peek() == "(":
            raise DimError(f"{_shown(self._text)}: expected ceil as the only function, found {_shown(name)}")
        else:
            self._program.append(name)

    def _parenthesized(self) -> None:
        self._nested(self._sum)
        if not self._take(")"):
            self._fail("an operator or )")

    def _nested(self, parse: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DimError(f"{_shown(self._text)}: nested too deeply: more than {MAX_DEPTH} levels")
        parse()
        self._depth -= 1

    def _whole(self, token: str) -> int:
        value = int(token)
        if value > MAX_SIZE:
            raise DimError(f"{_shown(self._text)}: {_shown(token)} is more than any tensor's size")
        return value

    def _fail(self, expected: str) -> NoReturn:
        token = self._peek()
        found = "the end" if token is None else _shown(token)
        raise DimError(f"{_shown(self._text)}: expected {expected}, found {found}")


# ---------------------------------------------------------------------------------------------- whole shapes


ShapePattern: TypeAlias = tuple[Dim, ...]


def parse_shape(values: Sequence[int | str]) -> ShapePattern:
    """Parse the dimensions of one tensor.

    Raises:
        DimError: the first dimension that is none.
    """
    return tuple(parse_dim(value) for value in values)


def format_shape(dims: Iterable[Dim | int | str]) -> str:
    """A shape as it is written in a spec: `[B, 64, H/4, W/4]`."""
    return f"[{', '.join(map(str, dims))}]"


# ---------------------------------------------------------------------------------------------- inferring patterns

# What was seen at several bindings of the free dimensions determines no formula, so the forms below are tried from the
# most to the least plausible for a layer, and the first that gives every value seen is taken. `values` are the
# dimension's, a column's are a name's, binding by binding.

_Column: TypeAlias = tuple[str, tuple[int, ...]]
_Values: TypeAlias = tuple[int, ...]

_SMALL_SHIFT = 16  # rows lost to unpadded convolutions, or tokens put in front
_STRIDES = (2, 4, 8, 16, 32, 64)


def infer_shape(
    shapes: Sequence[tuple[int, ...]], sizes: Sequence[Mapping[str, int]], hints: Sequence[str | None] = ()
) -> list[int | str] | None:
    """The simplest pattern that gives one tensor's shape at every binding; None where there is none.

    `shapes[i]` was seen at `sizes[i]`. `hints` names the dimensions in the order in which a tensor has them, the last
    for its last dimension: of names that had the same size at every binding, the one in that place is taken.
    """
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        return None
    columns = _columns(sizes, [hint for hint in hints if hint is not None])
    rank = len(shapes[0])
    dims = []
    for position, values in enumerate(zip(*shapes, strict=True)):
        preferred = hints[position - rank] if rank - position <= len(hints) else None
        dim = _infer_dim(values, columns, preferred)
        if dim is None:
            return None
        dims.append(dim)
    return _named_in_order(dims, columns)


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
def _infer_dim(values: _Values, columns: tuple[_Column, ...], preferred: str | None) -> int | str | None:
    if len(set(values)) == 1:
        return values[0]
    bindings = [{name: column[i] for name, column in columns} for i in range(len(values))]
    return next((text for text in _candidates(values, columns, preferred) if _gives(text, values, bindings)), None)


def _gives(text: str, values: _Values, bindings: Sequence[Mapping[str, int]]) -> bool:
    try:
        dim = parse_dim(text)
        return all(dim.evaluate(binding) == value for binding, value in zip(bindings, values, strict=True))
    except DimError:
        return False


def _candidates(values: _Values, columns: tuple[_Column, ...], preferred: str | None) -> Iterator[str]:
    alone = sorted(columns, key=lambda column: column[0] != preferred)
    for form in (_multiple, _near_shift, _strided):
        yield from chain.from_iterable(form(name, column, values) for name, column in alone)
    yield from _products(values, columns, (0,))
    for name, column in alone:
        yield from _near_line(name, column, values)
        yield from _rounded(name, column, values, near=True)
    yield from _products(values, columns, (1, 2, -1, *range(3, 9)))
    yield from _sums(values, columns)
    yield from _rounded_products(values, columns)
    yield from _factored(values, columns, preferred)
    yield from chain.from_iterable(_far(name, column, values) for name, column in alone)


def _multiple(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H, H/4, H*4."""
    pairs = list(zip(column, values, strict=True))
    if column == values:
        yield name
    elif all(value and size % value == 0 for size, value in pairs):
        yield f"{name}/{column[0] // values[0]}"
    elif all(size and value % size == 0 for size, value in pairs):
        yield f"{name}*{values[0] // column[0]}"


def _near_shift(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H-4: an unpadded convolution, T+1: a class token."""
    shift = values[0] - column[0]
    if abs(shift) <= min(_SMALL_SHIFT, max(1, min(column) // 2)):
        yield f"{name}{shift:+d}"


def _strided(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """ceil(H/2), H//2: a strided layer at sizes that its stride doesn't divide."""
    pairs = list(zip(column, values, strict=True))
    yield from (f"ceil({name}/{by})" for by in _STRIDES if all(-(-size // by) == value for size, value in pairs))
    yield from (f"{name}//{by}" for by in _STRIDES if all(size // by == value for size, value in pairs))


def _slope(column: _Values, values: _Values) -> Fraction:
    """How much the dimension grows with the name; 0 where it isn't a function of it."""
    points = sorted(set(zip(column, values, strict=True)))
    if len({size for size, _ in points}) < max(len(points), 2):
        return Fraction(0)
    (low, first), (high, last) = points[0], points[-1]
    return Fraction(last - first, high - low)


def _near_line(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """H/4-2, (H-1)/2, H*2+1: several layers with little lost at the borders."""
    slope = _slope(column, values)
    if slope.numerator == 1 and slope.denominator > 1:
        shift = values[0] * slope.denominator - column[0]
        if abs(shift) <= 4 * slope.denominator:
            yield from _line(name, column, values)
    elif slope > 1 and slope.denominator == 1 and abs(values[0] - slope * column[0]) <= _SMALL_SHIFT:
        yield from _line(name, column, values)


def _line(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """Any straight line."""
    slope = _slope(column, values)
    if slope <= 0:
        return
    times, over = slope.numerator, slope.denominator
    scaled = name if times == 1 else f"{name}*{times}"
    shift = values[0] * over - column[0] * times
    if over == 1:
        yield _shifted(scaled, shift)
    elif all(size * times % over == 0 for size in column):
        yield _shifted(f"{scaled}/{over}", shift // over)
    else:
        yield f"({scaled}{shift:+d})/{over}"


def _rounded(name: str, column: _Values, values: _Values, *, near: bool) -> Iterator[str]:
    """(H-7)//4: any stack of strided layers, for floors of floors are one floor."""
    slope = _slope(column, values)
    if slope <= 0:
        return
    spread, rise = max(column) - min(column), max(values) - min(values)
    strides = range(2, max(2, spread // max(rise - 1, 1)) + 1)
    for stride in sorted(strides, key=lambda stride: (stride.bit_count() != 1, abs(stride - 1 / slope))):
        # floor((size + shift) / stride) is value for every shift from stride * value - size, stride of them.
        lowest = [stride * value - size for size, value in zip(column, values, strict=True)]
        shifts = range(max(lowest), min(lowest) + stride)
        if shifts and (not near or min(map(abs, shifts)) <= 4 * stride):
            yield _floor(name, stride, shifts)


def _far(name: str, column: _Values, values: _Values) -> Iterator[str]:
    """Any shift; and any line, where it isn't just two points that lie on it."""
    yield f"{name}{values[0] - column[0]:+d}"
    yield from _rounded(name, column, values, near=False)
    if len(set(column)) > 2:
        yield from _line(name, column, values)


def _floor(name: str, stride: int, shifts: range) -> str:
    if stride - 1 in shifts:
        return f"ceil({name}/{stride})"
    shift = min(shifts, key=abs)
    return f"({_shifted(name, shift)})//{stride}" if shift else f"{name}//{stride}"


def _pairs(columns: tuple[_Column, ...]) -> Iterator[tuple[_Column, _Column]]:
    """Two names in the order of the columns, then a name with itself."""
    yield from itertools.combinations(columns, 2)
    yield from ((column, column) for column in columns)


def _products(values: _Values, columns: tuple[_Column, ...], shifts: Iterable[int]) -> Iterator[str]:
    """H/16*W/16+1: patches flattened to tokens, and a class token; 3*H/4*W/4: channels flattened too."""
    for shift in shifts:
        for left, right in _pairs(columns):
            ratio = Fraction(left[1][0] * right[1][0], values[0] - shift) if values[0] > shift else Fraction(0)
            if ratio and (shift == 0 or 1 in (ratio.numerator, ratio.denominator)):
                yield _shifted(_product(left, right, ratio), shift)


def _shifted(text: str, shift: int) -> str:
    return f"{text}{shift:+d}" if shift else text


def _product(left: _Column, right: _Column, ratio: Fraction) -> str:
    times, over = ratio.denominator, ratio.numerator
    root = math.isqrt(over)
    if over == 1:
        product = f"{left[0]}*{right[0]}"
    elif root * root == over and not any(size % root for size in (*left[1], *right[1])):
        product = f"{left[0]}/{root}*{right[0]}/{root}"
    else:
        product = f"{left[0]}*{right[0]}/{over}"
    return f"{times}*{product}" if times > 1 else product


def _rounded_products(values: _Values, columns: tuple[_Column, ...]) -> Iterator[str]:
    """ceil(H/16)*ceil(W/16)+1: the same at sizes that the patch doesn't divide."""
    for shift, (left, right), by in itertools.product(range(3), _pairs(columns), _STRIDES):
        ceils = -(-left[1][0] // by) * -(-right[1][0] // by)
        floors = (left[1][0] // by) * (right[1][0] // by)
        forms = (
            (ceils, f"ceil({left[0]}/{by})*ceil({right[0]}/{by})"),
            (floors, f"({left[0]}//{by})*({right[0]}//{by})"),
        )
        for count, text in forms:
            if count and values[0] > shift and (values[0] - shift) % count == 0:
                times = (values[0] - shift) // count
                yield _shifted(f"{times}*{text}" if times > 1 else text, shift)


def _sums(values: _Values, columns: tuple[_Column, ...]) -> Iterator[str]:
    """T+S: two sequences, one after the other."""
    for (left, left_sizes), (right, right_sizes) in itertools.combinations(columns, 2):
        shift = values[0] - left_sizes[0] - right_sizes[0]
        if abs(shift) <= _SMALL_SHIFT:
            yield _shifted(f"{left}+{right}", shift)


def _factored(values: _Values, columns: tuple[_Column, ...], preferred: str | None) -> Iterator[str]:
    """B*H/4*W/4: windows, heads or patches folded into the batch."""
    for name, column in columns:
        if all(size and value % size == 0 for size, value in zip(column, values, strict=True)):
            rest = tuple(value // size for size, value in zip(column, values, strict=True))
            inner = _infer_dim(rest, tuple(other for other in columns if other[0] != name), preferred)
            if inner is not None:
                yield f"{name}*({inner})" if set("+-") & set(str(inner)) or "//" in str(inner) else f"{name}*{inner}"
