"""Documents: where their values are written, and files that can be none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archcheck.errors import SourceLoc, SpecError
from archcheck.spec.document import MAX_BYTES, Document, parse_document, read_document
from tests.unit.spec.positioned_document import SPEC


def parse(text: str) -> Document:
    return parse_document(text, "x.yaml")


# ---------------------------------------------------------------------------------------------- positions


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


def test_a_shared_value_has_a_place_but_no_span() -> None:
    document = parse("a: &x\n  k: [1, 2]\nb: *x\n")
    assert document.locate(["b"]) == SourceLoc("x.yaml", 3, 4)
    assert document.locate(["b", "k", 1]) == SourceLoc("x.yaml", 2, 10)
    for keys in (["a"], ["a", "k"], ["b"], ["b", "k"]):
        assert document.span(keys) is None
    assert document.is_flow(["b", "k"])


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
    command = "archcheck new module:callable --input B,3,224,224 --output shown.yaml"
    assert read_problem(tmp_path / "no.yaml") == f"shown.yaml:1: there is no such file; write it: {command}"
    (tmp_path / "note.yaml").touch()
    assert read_problem(tmp_path / "nota.yaml") == "shown.yaml:1: there is no such file: did you mean 'note.yaml'?"


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
    assert read_problem(tmp_path / "a.yaml") == "shown.yaml:1: too large: expected at most 1,048,576 bytes"


def test_more_than_a_mebibyte_is_refused_unread() -> None:
    with pytest.raises(SpecError, match=r"^x\.yaml:1: too large: expected at most 1,048,576 bytes$"):
        parse("# " + "x" * MAX_BYTES)


def test_a_conflict_that_git_left_is_told_at_its_line() -> None:
    text = "build: a:b\n<<<<<<< HEAD\ninput: [B, 3]\n=======\ninput: [B, 4]\n>>>>>>> theirs\n"
    with pytest.raises(SpecError, match=r"^x\.yaml:2: git left a conflict here: keep what you want of both sides$"):
        parse(text)
