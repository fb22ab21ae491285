"""What a weight is made of: parsed, shown again, filled with names. Expected values by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from archcheck.spec.weight_expressions import (
    MAX_CHARS,
    MAX_DEPTH,
    WeightCall,
    WeightName,
    fill_wildcards,
    functions_in,
    names_in,
    parse_weight_expression,
    wildcard_pattern,
    with_names,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q.weight", WeightName("q.weight")),
        ("0.weight", WeightName("0.weight")),
        ("concat(a, b)", WeightCall("concat", (WeightName("a"), WeightName("b")))),
        ("concat( a,b , -1 )", WeightCall("concat", (WeightName("a"), WeightName("b"), -1))),
        ("split(a, [4, 2], 1)", WeightCall("split", (WeightName("a"), (4, 2), 1))),
        ("transpose(reshape(a, 2, -1))", WeightCall("transpose", (WeightCall("reshape", (WeightName("a"), 2, -1)),))),
        ("zeros(3, 4)", WeightCall("zeros", (3, 4))),
    ],
)
def test_names_functions_and_numbers_are_read(text: str, expected: object) -> None:
    assert parse_weight_expression(text) == expected


@pytest.mark.parametrize(
    "text", ["a", "concat(a.*.b, b, 1)", "split(a, [4, 2], 1, 0)", "transpose(reshape(a, 2, -1))", "ones(3)"]
)
def test_an_expression_is_shown_as_it_was_written(text: str) -> None:
    assert str(parse_weight_expression(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': expected a name, a function or a number, found the end"),
        ("3", "'3': expected a parameter's name or a function of some, found a number"),
        ("[1]", "'\\[1\\]': expected a parameter's name or a function of some, found a number"),
        ("transpose(a, b)", "'transpose\\(a, b\\)': expected transpose\\(a\\)"),
        ("reshape(a, b)", "'reshape\\(a, b\\)': expected reshape\\(a, size, ...\\)"),
        ("split(a, [b], 0)", "expected a whole number, found 'b'"),
        ("split(a, 2)", "expected split\\(a, parts, which\\) or"),
        ("concat(a;b)", "expected concat\\(a, b, ...\\)"),
        ("concat(a,,b)", "expected a name, a function or a number, found ','"),
        ("concat(a b)", "expected a comma or '\\)', found 'b'"),
        ("__import__(os)", "unknown function '__import__'; expected one of concat, split"),
        ("a" * (MAX_CHARS + 1), "expected at most 2000 characters, found 2,001"),
        ("transpose(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "at most 20 functions in one another"),
    ],
)
def test_what_is_no_expression_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(PydanticCustomError, match=message):
        parse_weight_expression(text)


@given(st.text(alphabet="ab.*0-1(),[] concatsplit", max_size=60))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        found = parse_weight_expression(text)
    except PydanticCustomError:
        return
    assert parse_weight_expression(str(found)) == found


def test_names_are_found_and_changed_wherever_they_stand() -> None:
    found = parse_weight_expression("concat(transpose(a), b, zeros(2), a)")
    assert names_in(found) == ["a", "b", "a"]
    assert functions_in(found) == {"concat", "transpose", "zeros"}
    assert str(with_names(found, str.upper)) == "concat(transpose(A), B, zeros(2), A)"


@pytest.mark.parametrize(
    ("pattern", "name", "parts"),
    [
        ("h.*.qkv", "h.0.qkv", ("0",)),
        ("h.*.qkv", "h.0.1.qkv", None),
        ("**.qkv", "h.0.qkv", ("h.0",)),
        ("h*.*", "h1.w", ("1", "w")),
        ("h.0", "hx0", None),
    ],
)
def test_a_wildcard_stays_within_a_part_of_a_name_and_two_do_not(
    pattern: str, name: str, parts: tuple[str, ...] | None
) -> None:
    match = wildcard_pattern(pattern).fullmatch(name)
    assert (None if match is None else match.groups()) == parts


def test_wildcards_are_filled_in_order() -> None:
    assert fill_wildcards("layers.*.x**.w", ["3", "a.b"]) == "layers.3.xa.b.w"
    assert fill_wildcards("w", ["3"]) == "w"
    assert fill_wildcards("*.*", ["3"]) == "3.*"
