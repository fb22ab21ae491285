"""Whatever the text: a document whose spans are right, or problems that name lines of the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archcheck.errors import SpecError
from archcheck.spec.document import Document, parse_document

SEEDS = (
    """\
# yaml-language-server: $schema=../archcheck/schema/arch.schema.json
name: resnet18-d2l
build: archcheck.zoo.resnet:resnet18_d2l # module:callable
args: {in_channels: 1, num_classes: 10}
input: [B, 1, H, W]
sizes: {H: [224, 96], W: [224, 96]}

layers:
  b1: [B, 64, H/4, W/4]   # short form
  b2.0: {type: Residual, output: [B, 64, H/4, W/4], parameters: 74_112}
  b2.*: {type: Residual}
  fc: {type: Linear, output: [B, 10]}
output: [B, 10]
macs: 1.73 G
""",
    """\
---
build: "model.py:Net"
input:
  - shape: [B, 12]
    dtype: int64
    below: 100
  - [B, 3]
args: &args
  width: 1e-3
  names: ['a', "b\\n", ~]
equivalent_to:
  build: timm:vit
  args: *args
note: |
  two
   lines

text: >-
  folded
  text
plain: some
  more
last:
""",
    "\ufeffa: 😀\r\nb:\r\n- 1\r\n-\r\n- {c: [d, 0x1F, .inf]}\r\n",
)
SNIPPETS = (
    *(
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "? ",
        ", ",
        "#",
        "&x ",
        "*x",
        "!t ",
        "!!int ",
        "|",
        ">",
        "'",
        '"',
        "\\",
        "%",
        "---\n",
    ),
    *(
        "...\n",
        "\n",
        "\r",
        "\t",
        "  ",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "😀",
        "<<: ",
        "0x",
        "_",
        "7: ",
        '"7": ',
    ),
)

LINE_BREAK = re.compile(r"\r\n|\n|\r")


@st.composite
def mutated_specs(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = draw(
            st.sampled_from(
                [
                    text[:start] + text[end:],
                    text[:end] + text[start:],
                    text[:start]
                    + draw(st.sampled_from(SNIPPETS)) * draw(st.sampled_from([1, 1, 1, 3, 70]))
                    + text[start:],
                    text[:start] + draw(st.text(max_size=3)) + text[end:],
                    text[:start] + text[start:end].replace("\n", "") + text[end:],
                ]
            )
        )
    return text


def parse_or_problems(text: str) -> Document | None:
    """The document; None where there are problems, each of which names a line of the file."""
    try:
        return parse_document(text, "x.yaml")
    except SpecError as error:
        messages = str(error).split("\n")
        lines = [problem.loc.line for problem in error.problems]
    assert all(re.fullmatch(r"x\.yaml:\d+: [^\n\r]+", message) for message in messages), messages
    assert 1 <= len(lines) == len(messages)
    assert lines == sorted(lines)
    assert lines[0] >= 1
    assert lines[-1] <= len(LINE_BREAK.findall(text)) + 1
    return None


def paths(value: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield way, value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, child in parts:
        yield from paths(child, (*way, part))


def assert_spans_are_right(document: Document) -> None:
    """Each span, read on its own at the column where it stands, is the value again."""
    if any(line_break in document.text for line_break in "\x85\u2028\u2029"):
        return  # further line breaks to the parser, though to no editor
    for way, value in paths(document.value):
        span = document.span(way)
        if span is None or document.text[span[0] : span[0] + 1] in ("|", ">"):
            continue  # a block scalar may count its indentation from its parent's
        if "&" in document.text and "*" in document.text[slice(*span)]:
            continue  # the anchor of an alias may be elsewhere
        location = document.locate(way)
        assert location == document.at(span[0])
        written = " " * location.column + LINE_BREAK.sub("\n ", document.text[slice(*span)])
        again = parse_document(f"top:\n{written}\n", "again").value["top"]
        assert repr(again) == repr(value)  # repr, for nan is not nan


@given(mutated_specs())
@example(SEEDS[0])
@example(SEEDS[1])
@example(SEEDS[2])
def test_a_mutated_spec_is_a_document_or_problems(text: str) -> None:
    document = parse_or_problems(text)
    if document is not None:
        assert isinstance(document.value, dict)
        assert_spans_are_right(document)


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text_is_a_document_or_problems(text: str) -> None:
    parse_or_problems(text)


@given(st.lists(st.sampled_from(SNIPPETS), max_size=40).map("".join))
def test_any_mix_of_yaml_tokens_is_a_document_or_problems(text: str) -> None:
    document = parse_or_problems(text)
    if document is not None:
        assert_spans_are_right(document)


texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=8)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts, plain_values, min_size=1))
def test_what_json_writes_is_read_back(value: dict[str, Any]) -> None:
    document = parse_document(json.dumps(value, ensure_ascii=False), "x.json")
    assert document.value == value


@pytest.mark.parametrize("opening", ["[", "{", "{a: [", "- ", "? ", "[[["])
def test_a_hundred_thousand_levels_do_not_crash_the_process(opening: str) -> None:
    assert parse_or_problems(f"a: 1\nb:\n {opening * 100_000}") is None
