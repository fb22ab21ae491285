"""Shape patterns: parsing, evaluating."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcheck.errors import DimError
from archcheck.spec.dims import format_shape, parse_dim, parse_shape

SIZES = {"B": 2, "H": 30, "W": 8}


# ---------------------------------------------------------------------------------------------- evaluating


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (64, 64),
        (0, 0),
        ("64", 64),
        ("74_112", 74112),
        ("H", 30),
        ("H/2", 15),
        ("H / 2", 15),
        ("H/4*W/4", 15),
        ("(H/4)*(W/4)", 15),
        ("H/4*2", 15),
        ("H//4", 7),
        ("ceil(H/4)", 8),
        ("ceil(H//4)", 7),
        ("(H-1)//2", 14),
        ("(H+2)/W", 4),
        ("H-2-3", 25),
        ("H/2/3", 5),
        ("H-2*W", 14),
        ("-W+H", 22),
        ("H--W", 38),
        ("B*(H*W+1)", 482),
        ("ceil(-B/W)+1", 1),
    ],
)
def test_a_dimension_is_exact_arithmetic(text: int | str, expected: int) -> None:
    assert parse_dim(text).evaluate(SIZES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H/4", "H/4 is not a whole number at H=30"),
        ("W / H", "W/H is not a whole number at W=8, H=30"),
        ("3/2", "3/2 is not a whole number"),
        ("H-40", "H-40 is -10 at H=30: expected at least 1"),
        ("H//W-3", "H//W-3 is 0 at H=30, W=8: expected at least 1"),
        ("K*2", "unknown dimension K (known: B, H, W)"),
        ("H/(W-8)", "H/(W-8) divides by zero at H=30, W=8"),
        ("H//0", "H//0 divides by zero at H=30"),
        ("H*9223372036854775807", "H*9223372036854775807 is more than any tensor's size at H=30"),
        ("-H*9223372036854775807", "-H*9223372036854775807 is far below zero at H=30: expected at least 1"),
    ],
)
def test_a_dimension_without_a_value_says_why(text: str, message: str) -> None:
    with pytest.raises(DimError, match=f"^{re.escape(message)}$"):
        parse_dim(text).evaluate(SIZES)


def test_an_unknown_dimension_where_none_is_known() -> None:
    with pytest.raises(DimError, match=r"^unknown dimension K \(known: none\)$"):
        parse_dim("K").evaluate({})


def test_names_are_those_used() -> None:
    assert parse_dim("ceil(H/4)*B+H").names == {"B", "H"}
    assert parse_dim(64).names == set()


# ---------------------------------------------------------------------------------------------- parsing

OPERAND = "expected a whole number, a name, ceil(...) or parentheses"
TOKENS = "expected whole numbers, names, + - * / //, ceil() and parentheses"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H/", f"'H/': {OPERAND}, found the end"),
        ("", f"'': {OPERAND}, found the end"),
        ("*H", f"'*H': {OPERAND}, found '*'"),
        ("H**2", f"'H**2': {OPERAND}, found '*'"),
        ("()", f"'()': {OPERAND}, found ')'"),
        ("(H", "'(H': expected an operator or ), found the end"),
        ("H)", "'H)': expected an operator or the end, found ')'"),
        ("H 4", "'H 4': expected an operator or the end, found '4'"),
        ("a\nb", r"'a\nb': expected an operator or the end, found 'b'"),
        ("1.5", f"'1.5': {TOKENS}, found '1.5'"),
        ("7x", f"'7x': {TOKENS}, found '7x'"),
        ("1__0", f"'1__0': {TOKENS}, found '1__0'"),
        ("H%4", f"'H%4': {TOKENS}, found '%'"),
        ("²", f"'²': {TOKENS}, found '²'"),
        ("ceil H", "'ceil H': expected ( after ceil, found 'H'"),
        ("floor(H/2)", "'floor(H/2)': expected ceil as the only function, found 'floor'"),
        ("H.__class__", f"'H.__class__': {TOKENS}, found '.__class__'"),
        ("(" * 30 + "H", f"'{'(' * 30}H': nested too deeply: more than 20 levels"),
        ("-" * 30 + "H", f"'{'-' * 30}H': nested too deeply: more than 20 levels"),
        ("(" * 100_000, f"'{'(' * 59}…': expected at most 200 characters, found 100,000"),
        ("9" * 30, f"'{'9' * 30}': '{'9' * 30}' is more than any tensor's size"),
        (-1, "'-1': expected 0 or more"),
        (2**63, "a whole number that is more than any tensor's size"),
        (True, "expected a whole number or arithmetic on dimension names, found 'True'"),
        (1.0, "expected a whole number or arithmetic on dimension names, found '1.0'"),
        (None, "expected a whole number or arithmetic on dimension names, found 'None'"),
    ],
)
def test_what_is_no_dimension_says_what_was_expected(text: Any, message: str) -> None:
    with pytest.raises(DimError, match=f"^{re.escape(message)}$"):
        parse_dim(text)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_number_too_long_to_print_is_refused(sign: int) -> None:
    with pytest.raises(DimError, match=r"^(a whole number that is more than any tensor's size|expected 0 or more)$"):
        parse_dim(sign * 10**5000)


@given(st.text() | st.text("HWB0123456789_+-*/() ceil", max_size=30))
def test_any_text_is_a_dimension_or_a_dim_error(text: str) -> None:
    try:
        dim = parse_dim(text)
        value = dim.evaluate({"H": 30, "W": 8, "B": 2})
    except DimError as error:
        message = str(error)
        assert message.isprintable()
    else:
        assert value >= 0


# An expression, and what it is worth by Python's own fractions; None where it divides by zero.
Worth = tuple[str, Callable[[Mapping[str, int]], Fraction]]


def combined(operands: tuple[Worth, str, Worth]) -> Worth:
    (left, left_value), operator, (right, right_value) = operands
    apply: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "//": lambda a, b: Fraction(a // b),
    }
    return f"({left}) {operator} ({right})", lambda sizes: apply[operator](left_value(sizes), right_value(sizes))


def rounded_up(operand: Worth) -> Worth:
    text, value = operand
    return f"ceil({text})", lambda sizes: Fraction(math.ceil(value(sizes)))


def named(name: str) -> Worth:
    return name, lambda sizes: Fraction(sizes[name])


def whole(number: int) -> Worth:
    return str(number), lambda sizes: Fraction(number)


expressions: st.SearchStrategy[Worth] = st.recursive(
    st.sampled_from(["B", "H", "W"]).map(named) | st.integers(0, 40).map(whole),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//"]), inner).map(combined) | inner.map(rounded_up)
    ),
    max_leaves=6,
)
sizes_of_all = st.fixed_dictionaries({name: st.integers(1, 300) for name in "BHW"})


@given(expressions, sizes_of_all)
def test_evaluation_agrees_with_fractions(expression: Worth, sizes: dict[str, int]) -> None:
    text, worth = expression
    try:
        expected: Fraction | None = worth(sizes)
    except ZeroDivisionError:
        expected = None
    if expected is not None and expected.denominator == 1 and (expected >= 1 or text == "0"):
        assert parse_dim(text).evaluate(sizes) == expected
    else:
        with pytest.raises(DimError, match=r"divides by zero|is not a whole number|expected at least 1"):
            parse_dim(text).evaluate(sizes)


@given(expressions)
def test_what_is_formatted_parses_to_the_same(expression: Worth) -> None:
    dim = parse_dim(expression[0])
    assert parse_dim(str(dim)) == dim
    assert parse_dim(str(dim)).names == dim.names


def test_format_shape() -> None:
    assert format_shape(parse_shape(["B", 64, "H / 4", "ceil( W/4 )"])) == "[B, 64, H/4, ceil(W/4)]"
    assert format_shape(["B", 64]) == "[B, 64]"
    assert format_shape(()) == "[]"
