"""YAML text to plain values with positions."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import SourceLoc, SpecError
from archcheck.spec.document import MAX_BYTES, Document, parse_document, read_document
from archcheck.spec.document_builder import MAX_DEPTH


def parse(text: str) -> Document:
    return parse_document(text, "x.yaml")


def value_of(scalar: str) -> Any:
    return parse(f"key: {scalar}\n").value["key"]


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError, match=r"^x\.yaml:\d+: ") as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


# ---------------------------------------------------------------------------------------------- scalars


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("74_112", 74112),
        ("1_000.5", 1000.5),
        ("1e-3", 0.001),
        ("1E6", 1e6),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e999", math.inf),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is type(expected)


def test_nan_is_a_number() -> None:
    assert math.isnan(value_of(".nan"))


@pytest.mark.parametrize(
    "text",
    [
        *("on", "off", "yes", "No", "y", "tRue"),
        *("_1", "1_", "1__0", "1_.5", "0b1", "-0x1F", "0x", "0o8", "1e", "e5", ".", "inf", "nan"),
        *("1:30", "2024-01-01", "1.73 G", "15%", "H/4", "<<", "="),
    ],
)
def test_everything_else_is_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize("text", ['"12"', "'12'", '"true"', "''", '"~"'])
def test_quoted_scalars_are_text(text: str) -> None:
    assert value_of(text) == text[1:-1]


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


def test_more_than_a_mebibyte_is_refused_unread() -> None:
    assert problems_of("# " + "x" * MAX_BYTES) == ["x.yaml:1: too large: a spec has at most 1,048,576 bytes"]


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


def test_a_shared_value_has_a_place_but_no_span() -> None:
    document = parse("a: &x\n  k: [1, 2]\nb: *x\n")
    assert document.locate(["b"]) == SourceLoc("x.yaml", 3, 4)
    assert document.locate(["b", "k", 1]) == SourceLoc("x.yaml", 2, 10)
    for keys in (["a"], ["a", "k"], ["b"], ["b", "k"]):
        assert document.span(keys) is None
    assert document.is_flow(["b", "k"])


# ---------------------------------------------------------------------------------------------- positions

SPEC = """\
# a comment
name: "x"   # another

layers:
  b1: [B, 64, H/4]   # flow
  b2.0:
    type: Residual
    output:
    - B
    - 64

  # between
  7: {parameters: 74_112, output: [B, 'q']}

text: |
  two
  lines

after: 1
"""


@pytest.mark.parametrize(
    ("keys", "key", "line", "column"),
    [
        ([], False, 2, 1),
        (["name"], False, 2, 7),
        (["name"], True, 2, 1),
        (["layers"], False, 5, 3),
        (["layers"], True, 4, 1),
        (["layers", "b1", 2], False, 5, 15),
        (["layers", "b1", 2], True, 5, 15),
        (["layers", "b2.0", "output", 1], False, 10, 7),
        (["layers", 7, "parameters"], False, 13, 19),
        (["layers", "7", "parameters"], True, 13, 7),
        (["layers", "fc", "output"], True, 4, 1),
        (["layers", "b1", 3], False, 5, 7),
        (["layers", "b1", -1], False, 5, 7),
        (["name", "x"], False, 2, 7),
        (["nothing"], False, 2, 1),
    ],
)
def test_locate(keys: list[str | int], key: bool, line: int, column: int) -> None:
    assert parse(SPEC).locate(keys, key=key) == SourceLoc("x.yaml", line, column)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["name"], '"x"'),
        (["layers", "b1"], "[B, 64, H/4]"),
        (["layers", "b1", 2], "H/4"),
        (["layers", "b2.0"], "type: Residual\n    output:\n    - B\n    - 64"),
        (["layers", "b2.0", "output"], "- B\n    - 64"),
        (["layers", "7"], "{parameters: 74_112, output: [B, 'q']}"),
        (["layers", "7", "parameters"], "74_112"),
        (["layers", "7", "output", 1], "'q'"),
        (["text"], "|\n  two\n  lines"),
        ([], SPEC[SPEC.index("name") : -1]),
    ],
)
def test_span(keys: list[str | int], expected: str) -> None:
    span = parse(SPEC).span(keys)
    assert span is not None
    assert SPEC[slice(*span)] == expected


def test_span_of_nothing() -> None:
    assert parse(SPEC).span(["layers", "fc"]) is None


def test_span_of_a_value_that_is_not_written_is_empty_behind_the_colon() -> None:
    assert parse("a:\nb: [x, ]\nc: {d, e: 1}\n").span(["a"]) == (2, 2)


def test_is_flow_tells_brackets_from_blocks() -> None:
    document = parse(SPEC)
    assert document.is_flow(["layers", "b1"])
    assert document.is_flow(["layers", "7"])
    assert not document.is_flow(["layers"])
    assert not document.is_flow(["layers", "b2.0", "output"])
    assert not document.is_flow(["name"])


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_offsets_count_characters(start: str, newline: str) -> None:
    text = start + newline.join(["😀: ä𝄞", "b: {é: 12, f: [😀, 3]}", ""])
    document = parse(text)
    written: dict[tuple[str | int, ...], str] = {
        ("😀",): "ä𝄞",
        ("b", "é"): "12",
        ("b", "f"): "[😀, 3]",
        ("b", "f", 1): "3",
    }
    for keys, expected in written.items():
        span = document.span(keys)
        assert span is not None
        assert text[slice(*span)] == expected
    assert document.locate(["😀"], key=True) == SourceLoc("x.yaml", 1, 1)
    assert document.locate(["b", "f", 1]) == SourceLoc("x.yaml", 2, 19)


def test_a_location_is_written_as_path_and_line() -> None:
    assert str(SourceLoc("specs/a.yaml", 3, 9)) == "specs/a.yaml:3"


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


# ---------------------------------------------------------------------------------------------- files


def read_problem(path: Path) -> str:
    with pytest.raises(SpecError, match=r"^shown\.yaml:\d+: ") as caught:
        read_document(path, "shown.yaml")
    return str(caught.value)


def test_a_file_is_read_with_its_newlines(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_document(tmp_path / "a.yaml", "shown.yaml")
    assert document.value == {"a": 1, "b": 2}
    assert document.text == "\ufeffa: 1\r\nb: 2\r\n"
    assert document.path == "shown.yaml"


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("a: ä\nb: ".encode() + b"\xe9t\xe9\n")
    assert read_problem(tmp_path / "a.yaml") == "shown.yaml:2: not UTF-8: byte 0xe9 at offset 9"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.yaml").write_bytes("\ufeffa: 1\n".encode(encoding))
    assert read_problem(tmp_path / "a.yaml") == "shown.yaml:1: encoded as UTF-16, expected UTF-8"


def test_a_directory_is_a_problem(tmp_path: Path) -> None:
    assert read_problem(tmp_path) == "shown.yaml:1: a directory, expected a file"


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    assert read_problem(tmp_path / "no.yaml") == "shown.yaml:1: can't be read: No such file or directory"


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_problem(tmp_path / "pipe") == "shown.yaml:1: not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_without_read_permission_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "a.yaml").chmod(0)
    assert read_problem(tmp_path / "a.yaml") == "shown.yaml:1: can't be read: Permission denied"


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    assert read_problem(tmp_path / "a.yaml") == "shown.yaml:1: too large: a spec has at most 1,048,576 bytes"
