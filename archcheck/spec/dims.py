"""Shape patterns: parse `[B, 64, H/4, W/4]` and evaluate it at sizes.

A dimension is arithmetic on names and whole numbers with `+ - * / // ceil()` and parentheses. It is computed exactly,
in fractions: only its final value has to be whole, so that `H/4*W/4` and `ceil(H/4)` mean what they say.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn, TypeAlias

from archcheck.errors import DimError
from archcheck.text.words import quoted

BATCH = "B"  # the name of the batch dimension
DEFAULT_BATCH_SIZES = (2, 3)

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
        """Return the dimension at the given values of the names.

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
        raise DimError(f"expected a whole number or arithmetic on dimension names, found {quoted(str(value))}")
    if value < 0:
        raise DimError(f"{quoted(str(value))}: expected 0 or more" if value > -MAX_SIZE else "expected 0 or more")
    if value > MAX_SIZE:
        raise DimError("a whole number that is more than any tensor's size")
    return Dim(str(value), frozenset(), (value,))


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Dim:
    if len(text) > MAX_CHARS:
        raise DimError(f"{quoted(text)}: expected at most {MAX_CHARS} characters, found {len(text):,}")
    return _Parser(text).parse()


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
                found = quoted(_WORD.match(text[end:].lstrip())[0])  # type: ignore[index]
                expected = "whole numbers, names, + - * / //, ceil() and parentheses"
                raise DimError(f"{quoted(self._text)}: expected {expected}, found {found}")
            tokens.append(match[0].lstrip())
            end = match.end()
        return tokens

    def _peek(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        """Return the next token and go past it, where it is one of those wanted; else None."""
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
            raise DimError(f"{quoted(self._text)}: expected ceil as the only function, found {quoted(name)}")
        else:
            self._program.append(name)

    def _parenthesized(self) -> None:
        self._nested(self._sum)
        if not self._take(")"):
            self._fail("an operator or )")

    def _nested(self, parse: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DimError(f"{quoted(self._text)}: nested too deeply: more than {MAX_DEPTH} levels")
        parse()
        self._depth -= 1

    def _whole(self, token: str) -> int:
        value = int(token)
        if value > MAX_SIZE:
            raise DimError(f"{quoted(self._text)}: {quoted(token)} is more than any tensor's size")
        return value

    def _fail(self, expected: str) -> NoReturn:
        token = self._peek()
        found = "the end" if token is None else quoted(token)
        raise DimError(f"{quoted(self._text)}: expected {expected}, found {found}")


# ---------------------------------------------------------------------------------------------- whole shapes


ShapePattern: TypeAlias = tuple[Dim, ...]


def parse_shape(values: Sequence[int | str]) -> ShapePattern:
    """Parse the dimensions of one tensor.

    Raises:
        DimError: the first dimension that is none.
    """
    return tuple(parse_dim(value) for value in values)


def format_shape(dims: Iterable[Dim | int | str]) -> str:
    """Return a shape as it is written in a spec: `[B, 64, H/4, W/4]`."""
    return f"[{', '.join(map(str, dims))}]"
