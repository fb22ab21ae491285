"""What a weight is made of, as in `concat(layers.*.q.weight, layers.*.k.weight)`: text to a tree, and its globs filled.

The tree says what is computed and computes nothing. There are names, a few functions, whole numbers and lists of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, TypeAlias

from archcheck.spec.values import fail
from archcheck.text.words import quoted, unknown

# By name, what is written between the parentheses.
FUNCTIONS: Final = {
    "concat": "concat(a, b, ...) or concat(a, b, ..., dimension)",
    "split": "split(a, parts, which) or split(a, parts, which, dimension), parts being a number or a list of sizes",
    "transpose": "transpose(a)",
    "permute": "permute(a, dimension, ...)",
    "reshape": "reshape(a, size, ...)",
    "zeros": "zeros(size, ...)",
    "ones": "ones(size, ...)",
}
MAX_CHARS: Final = 2000
MAX_DEPTH: Final = 20
WILDCARD: Final = re.compile(r"\*\*|\*")

_TOKEN: Final = re.compile(r"\s*(?:([(),\[\]])|([^\s(),\[\]]+))")
_NUMBER: Final = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, slots=True)
class WeightName:
    """A parameter, or with `*` in it as many as there are."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class WeightCall:
    """A function of weights: tensors first, then whole numbers and lists of them."""

    function: str
    args: tuple[WeightArg, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(_shown, self.args))})"


WeightExpression: TypeAlias = "WeightName | WeightCall"
WeightArg: TypeAlias = "WeightExpression | int | tuple[int, ...]"


def _shown(arg: WeightArg) -> str:
    return f"[{', '.join(map(str, arg))}]" if isinstance(arg, tuple) else str(arg)


def parse_weight_expression(value: Any) -> WeightExpression:
    """Parse what a weight is made of.

    Raises:
        PydanticCustomError: it's no name and no function of names; says what was expected.
    """
    if not isinstance(value, str):
        raise fail(f"expected a parameter's name, or a function of some such as {FUNCTIONS['concat']}")
    if len(value) > MAX_CHARS:
        raise fail(f"expected at most {MAX_CHARS} characters, found {len(value):,}")
    return _Parser(value).parse()


def check_weight_expression(value: Any) -> str:
    """Return the text of what a weight is made of. Raises as `parse_weight_expression`."""
    parse_weight_expression(value)
    return str(value)


def names_in(expression: WeightArg) -> list[str]:
    """Return the names in an expression, in order, each as often as it stands there."""
    if isinstance(expression, WeightName):
        return [expression.name]
    parts = expression.args if isinstance(expression, WeightCall) else ()
    return [name for part in parts for name in names_in(part)]


def functions_in(expression: WeightArg) -> set[str]:
    """Return the functions in an expression."""
    if not isinstance(expression, WeightCall):
        return set()
    return {expression.function}.union(*map(functions_in, expression.args))


def with_names(expression: WeightExpression, change: Callable[[str], str]) -> WeightExpression:
    """Return an expression with other names."""
    if isinstance(expression, WeightName):
        return WeightName(change(expression.name))
    made = (with_names(arg, change) if isinstance(arg, WeightName | WeightCall) else arg for arg in expression.args)
    return replace(expression, args=tuple(made))


def fill_wildcards(name: str, parts: Sequence[str]) -> str:
    """Return a name with what its wildcards stand for, in order; those behind the last part stay."""
    waiting = iter(parts)
    return WILDCARD.sub(lambda found: next(waiting, found[0]), name)


def wildcard_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression with a group for each wildcard; `*` stays within a part of a name, `**` doesn't."""
    pieces = re.split(r"(\*\*|\*)", pattern)
    groups = {"**": "(.*)", "*": r"([^.]*)"}
    return re.compile("".join(groups.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens = text, list(_tokens(text))
        self._next = 0

    def parse(self) -> WeightExpression:
        found = self._argument(0)
        if self._next < len(self._tokens):
            self._fail(f"expected nothing behind {found}")
        if not isinstance(found, WeightName | WeightCall):
            self._fail("expected a parameter's name or a function of some, found a number")
        return found

    def _argument(self, depth: int) -> WeightArg:
        token = self._take("a name, a function or a number")
        if token == "[":
            return tuple(self._items(lambda: self._number(self._take("a whole number")), "]"))
        if token in "(),]":
            self._fail(f"expected a name, a function or a number, found {token!r}")
        if self._peek() == "(":
            self._next += 1
            return self._call(token, depth + 1)
        return int(token) if _NUMBER.fullmatch(token) else WeightName(token)

    def _call(self, function: str, depth: int) -> WeightCall:
        if function not in FUNCTIONS:
            self._fail(unknown("function", function, FUNCTIONS))
        if depth > MAX_DEPTH:
            self._fail(f"expected at most {MAX_DEPTH} functions in one another")
        args = tuple(self._items(lambda: self._argument(depth), ")"))
        if not _fits(function, args):
            self._fail(f"expected {FUNCTIONS[function]}")
        return WeightCall(function, args)

    def _items(self, item: Callable[[], Any], end: str) -> Iterator[Any]:
        """Yield what stands before `end`, with a comma between each two."""
        while True:
            yield item()
            token = self._take(f"a comma or {end!r}")
            if token == end:
                return
            if token != ",":
                self._fail(f"expected a comma or {end!r}, found {quoted(token)}")

    def _number(self, token: str) -> int:
        if not _NUMBER.fullmatch(token):
            self._fail(f"expected a whole number, found {quoted(token)}")
        return int(token)

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str) -> str:
        token = self._peek()
        if not token:
            hint = "; within braces it needs quotes around it" if "(" in self._text else ""
            self._fail(f"expected {expected}, found the end{hint}")
        self._next += 1
        return token

    def _fail(self, message: str) -> NoReturn:
        raise fail(f"{quoted(self._text)}: {message}")


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        yield match[1] or match[2]


def _fits(function: str, args: Sequence[WeightArg]) -> bool:
    """Return whether a function takes arguments of these kinds."""
    kinds = "".join(_kind(arg) for arg in args)
    return re.fullmatch(_KINDS[function], kinds) is not None


def _kind(arg: WeightArg) -> str:
    """Return a letter for a kind of argument: of a weight, a number, a list."""
    return {int: "n", tuple: "l"}.get(type(arg), "w")


_KINDS: Final = {
    "concat": "ww+n?",
    "split": "w[nl]nn?",
    "transpose": "w",
    "permute": "wn+",
    "reshape": "wn+",
    "zeros": "n+",
    "ones": "n+",
}
