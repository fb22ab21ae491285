"""Entries renamed and removed: every other byte stays, but for the spaces of rows that are aligned."""

from __future__ import annotations

import pytest

from archcheck.errors import UsageError
from archcheck.findings import Addition, Change, Edit, Removal, Rename
from archcheck.recording.edits import apply_edits

HEAD = "build: m:f\ninput: [B, 4]\n"
LAYERS = (
    HEAD
    + """\
layers:
  # the stem
  conv:   {type: Linear, output: [B, 4]}   # first

  'fc.0': [ B, 4,   # wide
            4 ]
  "k*":
    type: Linear    # by hand
    output:
      - B
  last: [B, 2]  # done
# what comes out
output: [B, 2]
"""
)


def changed(text: str, *changes: Change) -> str:
    return apply_edits(text, "a.arch.yaml", changes, {})


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("conv", "stem.c", "  stem.c: {type"),
        ("conv", "a.*", "  a.*:    {type"),
        ("conv", "*.a", '  "*.a":  {type'),
        ("conv", "a: b", '  "a: b": {type'),
        ("conv", "a[1]", "  a[1]:   {type"),
        ("fc.0", "fc.1", "  'fc.1': [ B"),
        ("fc.0", "it's", """  "it's": [ B"""),
        ("k*", "b*", '  "b*":\n'),
    ],
)
def test_a_key_is_renamed_in_its_place_and_its_quotes(old: str, new: str, text: str) -> None:
    result = changed(LAYERS, Rename(("layers", old), new))
    assert text in result
    written = next(line for line in LAYERS.splitlines() if line.lstrip(" \"'").startswith(old))
    assert len(result.splitlines()) == len(LAYERS.splitlines())
    assert [a for a, b in zip(LAYERS.splitlines(), result.splitlines(), strict=True) if a != b] == [written]


@pytest.mark.parametrize(
    ("key", "gone"),
    [
        ("conv", "  conv:   {type: Linear, output: [B, 4]}   # first\n"),
        ("fc.0", "  'fc.0': [ B, 4,   # wide\n            4 ]\n"),
        ("k*", '  "k*":\n    type: Linear    # by hand\n    output:\n      - B\n'),
        ("last", "  last: [B, 2]  # done\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_entry_goes_with_its_lines(key: str, gone: str, newline: str) -> None:
    text = LAYERS.replace("\n", newline)
    assert changed(text, Removal(("layers", key))) == LAYERS.replace(gone, "").replace("\n", newline)


@pytest.mark.parametrize(
    ("key", "left"),
    [
        ("a", "{b: [B, 4] , 'c': [B]}"),
        ("b", "{ a: [B, 2], 'c': [B]}"),
        ("c", "{ a: [B, 2],  b: [B, 4]}"),
    ],
)
def test_an_entry_in_braces_goes_with_its_comma(key: str, left: str) -> None:
    text = HEAD + "layers: { a: [B, 2],  b: [B, 4] , 'c': [B]}  # all\n"
    result = changed(text, Removal(("layers", key)))
    assert result.replace(" ", "") == (HEAD + f"layers: {left}  # all\n").replace(" ", "")


def test_a_key_in_braces_is_renamed() -> None:
    text = HEAD + "layers: { a: [B, 2],  b: [B, 4]}\n"
    assert changed(text, Rename(("layers", "a"), "c[0]")) == text.replace("a:", '"c[0]":')


def test_a_section_goes_with_its_last_entry() -> None:
    text = HEAD + "layers:\n  a: [B, 2]\n\n# so\noutput: [B, 2]\n"
    assert changed(text, Removal(("layers", "a"))) == HEAD + "\n# so\noutput: [B, 2]\n"


def test_a_file_without_a_newline_at_its_end() -> None:
    text = HEAD + "layers:\n  a: [B, 2]\n  b: [B, 3]"
    assert changed(text, Removal(("layers", "b"))) == HEAD + "layers:\n  a: [B, 2]\n"


def test_values_are_replaced_added_and_moved_together() -> None:
    text = HEAD + "layers:\n  a: [B, 2]\n  b: {type: X}\n  c: [B]\nmacs: 3\n"
    result = changed(
        text,
        Edit(("layers", "a", "output", 1), 3),
        Addition(("layers", "new"), {"type": "Y", "output": ["B", 7]}, "a"),
        Rename(("layers", "b"), "z"),
        Rename(("layers", "b"), "z"),
        Removal(("layers", "c")),
        Edit(("macs",), 4),
    )
    assert result == HEAD + "layers:\n  a: [B, 3]\n  new: {type: Y, output: [B, 7]}\n  z: {type: X}\nmacs: 4\n"


def test_what_is_gone_or_there_already_is_left_out() -> None:
    assert changed(LAYERS, Rename(("layers", "gone"), "x"), Rename(("layers", "conv"), "last")) == LAYERS
    assert changed(LAYERS, Removal(("layers", "gone")), Removal(("function", "layers", "x"))) == LAYERS


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        (
            "layers:\n  a: &x\n    type: X\n  b: *x\n",
            Removal(("layers", "a")),
            r"a.arch.yaml:4: this value can't be updated in place \(it is shared by an alias\); edit it by hand",
        ),
    ],
)
def test_what_can_not_be_changed_is_refused(text: str, change: Change, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed(HEAD + text, change)


ALIGNED = """\
layers:
  conv: {type: Conv2d}
  norm: {type: BatchNorm2d}  # of four

  # the head
  fc:   {type: Linear}
  k: [B, 2]
"""
TWO = "layers:\n  fc1: [B, 4]\n  fc2: [B, 4]\n"
UNALIGNED = "layers:\n  fc1: [B, 4]\n  fc2: [B, 4]\n  head: [B, 2]\n"


@pytest.mark.parametrize(
    ("text", "old", "new", "rows"),
    [
        (ALIGNED, "fc", "head", ["  fc:   {type", "  head: {type"]),
        (ALIGNED, "conv", "stem",  ["  conv: {type", "  stem: {type"]),
        (ALIGNED, "norm", "bn", ["  norm: {type", "  bn:   {type"]),
        (ALIGNED, "fc", "layers.0.fc",
         ["  conv: {", "  conv:        {", "  norm: {", "  norm:        {", "  fc:   {", "  layers.0.fc: {"]),
        (ALIGNED, "k", "key", ["  k: [", "  key: ["]),
        (UNALIGNED, "fc1", "first", ["  fc1: [", "  first: ["]),
        (TWO, "fc1", "first", ["  fc1: [", "  first: [", "  fc2: [", "  fc2:   ["]),
    ],
)  # fmt: skip
def test_rows_that_are_aligned_stay_so(text: str, old: str, new: str, rows: list[str]) -> None:
    expected = HEAD + text
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        assert expected.count(before) == 1
        expected = expected.replace(before, after)
    assert changed(HEAD + text, Rename(("layers", old), new)) == expected


NUMBERED = (
    HEAD + "layers:\n  # the stem\n  0: {type: Linear}  # first\n  '1': {type: ReLU}\n  2: {type: Linear}  # last\n"
)


@pytest.mark.parametrize("order", [1, -1])
def test_keys_that_others_have_yet_are_taken_once_they_are_free(order: int) -> None:
    up = [Rename(("layers", str(i)), str(i + 1)) for i in range(3)][::order]
    assert changed(NUMBERED, *up) == NUMBERED.replace("2: {", "3: {").replace("'1'", "'2'").replace("0: {", "1: {")
    down: list[Change] = [Rename(("layers", "1"), "0"), Rename(("layers", "2"), "1"), Removal(("layers", "0"))]
    expected = NUMBERED.replace("  0: {type: Linear}  # first\n", "").replace("'1'", "'0'").replace("2: {", "1: {")
    assert changed(NUMBERED, *down[::order]) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_entries_are_added_where_others_were(order: int) -> None:
    entry = {"type": "Dropout"}
    additions = [Addition(("layers", "0"), entry, None), Addition(("layers", "1"), entry, "0")][::order]
    moves = [Rename(("layers", str(i)), str(i + 2)) for i in range(3)]
    new = "  0: {type: Dropout}\n  1: {type: Dropout}\n  2: {type: Linear}  # first\n"
    expected = NUMBERED.replace("2: {", "4: {").replace("'1'", "'3'").replace("  0: {type: Linear}  # first\n", new)
    assert changed(NUMBERED, *additions, *moves) == expected
    assert changed(NUMBERED, Addition(("layers", "1"), entry, "0")) == NUMBERED  # there is one
    flow = HEAD + "layers: {0: {type: Linear}}\n"
    added = changed(flow, Addition(("layers", "1"), entry, None))
    assert added == HEAD + "layers: {1: {type: Dropout}, 0: {type: Linear}}\n"


KEY = "key: {type: Sub, output: [B, 4096], parameters: 5_000}"


@pytest.mark.parametrize(
    ("rows", "added"),
    [
        (["a: {type: X, output: [B, 2]}", "bcd: {type: Y, output: [B, 2]}"], KEY),
        (["a:   {type: X, output: [B, 2]}", "bcd: {type: Y, output: [B, 2]}"], KEY),
        (["'a': { type: Conv,  output: [B, 4_096], parameters: 1000 }"],
         "'key': { type: Sub,   output: [B, 4_096], parameters: 5000 }"),
        (["a:   {output: [B, 2],    type: Subway}", "bcd: {output: [B, 2, 2], type: Y, parameters: 9}"],
         "key: {output: [B, 4096], type: Sub, parameters: 5_000}"),
        (['"a": {"type": "X", "output": ["B", 4]}'],
         '"key": {"type": "Sub", "output": ["B", 4096], "parameters": 5000}'),
        (["a: [B, 2]"], KEY),
        (["a:", "  type: X", "  output: [B, 2]"], "key:\n    type: Sub\n    output: [B, 4096]\n    parameters: 5_000"),
    ],
)  # fmt: skip
def test_an_entry_is_added_as_those_beside_it_are_written(rows: list[str], added: str) -> None:
    text = HEAD + "layers:\n" + "".join(f"  {row}\n" for row in rows)
    entry = {"type": "Sub", "output": ["B", 4096], "parameters": 5000}
    first = rows[0].partition(":")[0].strip("'\"")
    written = f"  {rows[0]}\n" if rows[0].endswith(("}", "]")) else "".join(f"  {row}\n" for row in rows)
    expected = text.replace(written, f"{written}  {added}\n")
    assert changed(text, Addition(("layers", "key"), entry, first)) == expected


def test_columns_move_for_an_entry_that_is_longer() -> None:
    text = (
        HEAD
        + """\
layers:
  a:  {type: X,    output: [B, 2],     parameters: 1}  # first
  bc: {type: Long, output: [B, 2, 2],  parameters: 2}
  d:  {type: Y,                        parameters: 2}
  ef: [B, 2]
"""
    )
    expected = (
        HEAD
        + """\
layers:
  a:       {type: X,      output: [B, 2],     parameters: 1}  # first
  bc:      {type: Long,   output: [B, 2, 2],  parameters: 2}
  longest: {type: Longer, output: [B, 2],     parameters: 7}
  d:       {type: Y,                          parameters: 2}
  ef:      [B, 2]
"""
    )
    entry = {"type": "Longer", "output": ["B", 2], "parameters": 7}
    assert changed(text, Addition(("layers", "longest"), entry, "bc")) == expected


def test_keys_are_quoted_as_those_that_need_it_as_much() -> None:
    text = (
        HEAD
        + """\
layers:
  embed:     {type: X}
  "blocks.*":  {type: Y}
  "blocks.*.a": {type: Y}
"""
    )
    plain = changed(text, Addition(("layers", "drop"), {"type": "Z"}, "embed"))
    assert plain == text.replace("  embed:     {type: X}\n", "  embed:     {type: X}\n  drop:      {type: Z}\n")
    glob = changed(text, Addition(("layers", "blocks.*.b"), {"type": "Z"}, "blocks.*.a"))
    assert glob == text + '  "blocks.*.b": {type: Z}\n'


def test_a_map_whose_entries_are_all_replaced_stays() -> None:
    text = HEAD + "layers:\n  # the stem\n  a:   {type: X}\n  bcd: {type: Y}\noutput: [B, 2]\n"
    changes: list[Change] = [
        Removal(("layers", "a")),
        Removal(("layers", "bcd")),
        Addition(("layers", "e"), {"type": "Z"}, None),
    ]
    assert changed(text, *changes) == HEAD + "layers:\n  # the stem\n  e:   {type: Z}\noutput: [B, 2]\n"
