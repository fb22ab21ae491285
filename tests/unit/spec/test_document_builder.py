"""YAML text to plain values: what becomes of scalars, keys, anchors, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.errors import SpecError
from archcheck.spec.document import Document, parse_document
from archcheck.spec.document_builder import MAX_DEPTH
from tests.unit.spec.positioned_document import SPEC


def parse(text: str) -> Document:
    return parse_document(text, "x.yaml")


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError, match=r"^x\.yaml:\d+: ") as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


# ---------------------------------------------------------------------------------------------- scalars


def test_plain_scalars_are_resolved() -> None:
    assert parse("a: 1e-3\nb: 74_112\nc: on\nd: ~\ne:\n").value == {
        "a": 0.001,
        "b": 74112,
        "c": "on",
        "d": None,
        "e": None,
    }


@pytest.mark.parametrize("text", ['"12"', "'12'", '"true"', "''", '"~"'])
def test_quoted_scalars_are_text(text: str) -> None:
    assert parse(f"key: {text}\n").value["key"] == text[1:-1]


def test_block_scalars_are_text() -> None:
    assert parse("a: |\n  12\nb: >-\n  1\n  2\n").value == {"a": "12\n", "b": "1 2"}


def test_an_integer_of_thousands_of_digits_is_a_problem() -> None:
    message = "an integer of 5,000 characters: expected at most 300"
    assert problems_of(f"a: 1\nb: {'9' * 5000}\n") == [f"x.yaml:2: {message}"]
    assert problems_of(f"b: 0x{'f' * 4998}\n") == [f"x.yaml:1: {message}"]


# ---------------------------------------------------------------------------------------------- keys


def test_keys_are_text() -> None:
    assert parse("7: a\ntrue: b\n~: c\n1.50: d\n").value == {"7": "a", "true": "b", "~": "c", "1.50": "d"}


def test_a_number_and_its_quotation_are_one_key() -> None:
    assert problems_of('layers:\n  7: a\n  "7": b\n') == ["x.yaml:3: duplicate key '7', first on line 2"]


def test_all_duplicates_are_named_in_file_order() -> None:
    text = "fc: {a: 1, a: 2}\nb: 1\nfc: 2\nb: 3\nfc: 4\n"
    assert problems_of(text) == [
        "x.yaml:1: duplicate key 'a', first on line 1",
        "x.yaml:3: duplicate key 'fc', first on line 1",
        "x.yaml:4: duplicate key 'b', first on line 2",
        "x.yaml:5: duplicate key 'fc', first on line 1",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]: a", "expected text as a key, found a list"),
        ("? {a: 1}\n: b", "expected text as a key, found a mapping"),
        ("&x a: b", "expected text as a key, found the anchor &x"),
        ("a: &x b\n*x : c", "expected text as a key, found an alias"),
        ("?\n: a", "expected a key before the colon"),
        ("<<: {a: 1}", "merge keys (<<) are not allowed"),
        ("!!str a: b", "tags are not allowed: 'tag:yaml.org,2002:str'"),
    ],
)
def test_only_text_can_be_a_key(text: str, message: str) -> None:
    assert [problem.partition(": ")[2] for problem in problems_of(text)] == [message]


def test_a_strange_key_is_shown_on_one_line_and_shortened() -> None:
    assert problems_of(f'"a\\nb": 1\n"a\\nb": 2\n{"k" * 90}: 1\n{"k" * 90}: 2\n') == [
        r"x.yaml:2: duplicate key 'a\nb', first on line 1",
        f"x.yaml:4: duplicate key '{'k' * 59}…', first on line 3",
    ]


# ---------------------------------------------------------------------------------------------- what is refused


def test_duplicates_tags_and_a_syntax_error_are_all_reported() -> None:
    assert problems_of("a: 1\na: 2\nb: !!int 3\nc: [1\n") == [
        "x.yaml:2: duplicate key 'a', first on line 1",
        "x.yaml:3: tags are not allowed: 'tag:yaml.org,2002:int'",
        "x.yaml:5: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence (from line 4)",
    ]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("!!python/object/apply:os.system [echo]", "tag:yaml.org,2002:python/object/apply:os.system"),
        ("!foo {a: 1}", "!foo"),
        ("! 12", "!"),
        ("!!int 3", "tag:yaml.org,2002:int"),
    ],
)
def test_tags_are_refused_at_their_line(tag: str, shown: str) -> None:
    assert problems_of(f"a: 1\nb: {tag}\n") == [f"x.yaml:2: tags are not allowed: '{shown}'"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "\ufeff"])
def test_an_empty_file_says_what_a_spec_needs(text: str) -> None:
    assert problems_of(text) == ["x.yaml:1: empty: expected a mapping with at least `build` and `input`"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("- a\n- b\n", "a list"), ("lenet\n", "text 'lenet'"), ("12\n", "the value '12'"), ("~\n", "nothing")],
)
def test_the_top_must_be_a_mapping(text: str, found: str) -> None:
    assert problems_of(text) == [f"x.yaml:1: expected a mapping at the top, found {found}"]


def test_a_second_document_is_refused_where_it_starts() -> None:
    message = "a second document starts here: expected one spec to a file"
    assert problems_of("a: 1\n---\nb: 2\n") == [f"x.yaml:2: {message}"]


def test_a_tab_is_named() -> None:
    assert problems_of("a:\n\tb: 1\n") == ["x.yaml:2: not valid YAML: a tab can't indent or separate here, use spaces"]


@pytest.mark.parametrize(("character", "name"), [("\0", "U+0000"), ("\x1b", "U+001B"), ("\ud800", "U+D800")])
def test_a_control_character_is_named_at_its_line(character: str, name: str) -> None:
    assert problems_of(f"ä😀: 1\nb: é{character}\n") == [f"x.yaml:2: character {name} is not allowed"]
    assert problems_of(f"\ufeffä😀: 1\nb: é{character}\n") == [f"x.yaml:2: character {name} is not allowed"]


@pytest.mark.parametrize(("text", "line"), [("\ufeff\ufeffa: 1\n", 1), ("a: 1\n\ufeffb: 2\n", 2)])
def test_a_byte_order_mark_within_the_text_is_refused(text: str, line: int) -> None:
    assert problems_of(text) == [f"x.yaml:{line}: character U+FEFF is not allowed"]


def test_a_syntax_error_is_one_line() -> None:
    assert problems_of("a: 1\nb: 'x\n") == [
        "x.yaml:3: not valid YAML: found unexpected end of stream while scanning a quoted scalar (from line 2)"
    ]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "!x [", "&x ["])
def test_a_hundred_thousand_levels_are_one_problem(opening: str) -> None:
    found = problems_of("a:\n  " + opening * 100_000)
    assert found[-1] == f"x.yaml:2: nested too deeply: more than {MAX_DEPTH} levels"


def test_nesting_up_to_the_bound_is_read() -> None:
    value = parse(f"a: {'[' * (MAX_DEPTH - 1)}1{']' * (MAX_DEPTH - 1)}\n").value["a"]
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == 1


# ---------------------------------------------------------------------------------------------- anchors and aliases


def test_an_alias_repeats_its_anchor() -> None:
    assert parse("a: &x {k: [1]}\nb: *x\n").value == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_an_alias_bomb_is_refused() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert problems_of("\n".join(lines)) == [
        "x.yaml:6: too many values: more than 100,000 with every alias written out"
    ]


def test_a_chain_of_aliases_is_bounded_in_depth() -> None:
    lines = ["l0: &l0 [x]"] + [f"l{i}: &l{i} [*l{i - 1}]" for i in range(1, 2000)]
    assert problems_of("\n".join(lines)) == [
        "x.yaml:63: nested too deeply: more than 64 levels with every alias written out"
    ]


def test_an_alias_within_its_own_anchor_is_refused() -> None:
    assert problems_of("a: 1\nb: &x [1, *x]\n") == ["x.yaml:2: alias *x is part of what it stands for"]


def test_an_alias_without_an_anchor_is_refused() -> None:
    assert problems_of("a: *x\n") == ["x.yaml:1: alias *x has no anchor &x before it"]


# ---------------------------------------------------------------------------------------------- without libyaml


@pytest.mark.parametrize(
    "text", [SPEC, "\ufeff" + SPEC, SPEC.replace("\n", "\r\n"), "a: [1\n", "\ufeffa: é\0", "a: 1\na: 2"]
)
def test_the_parser_in_python_gives_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> tuple[Any, Any]:
        try:
            document = parse(text)
        except SpecError as error:
            return [problem.loc.line for problem in error.problems], None
        return document.value, document.span(["layers", "7", "output"])

    with_libyaml = outcome()
    monkeypatch.delattr("yaml.CSafeLoader")
    assert outcome() == with_libyaml
