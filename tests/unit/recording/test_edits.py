"""Edits of a spec's text: what is asked for changes, every other byte stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archcheck.errors import UsageError
from archcheck.findings import Addition, Change, Edit, Removal
from archcheck.recording.edits import apply_edits
from archcheck.spec.document import parse_document

HEAD = "build: m:f\ninput: [B, 1, 28, 28]\n"
BLOCK = (
    HEAD
    + """\
training:
  dataset: fashion-mnist   # the real one
  optimizer: {name: SGD, lr: 0.05}
  # not many
  epochs: 10

  quick:
      dataset: fashion-mnist-mini
      epochs: 3  # enough

# what comes out
output: [B, 10]
"""
)
CALIBRATION = {"mean": 0.8123, "std": 0.004, "seeds": 5, "device": "NVIDIA H200", "torch": "2.15", "date": "2026-01-02"}
CALIBRATED = '{mean: 0.8123, std: 0.004, seeds: 5, device: "NVIDIA H200", torch: "2.15", date: 2026-01-02}'


def edited(text: str, *edits: tuple[tuple[str, ...], Any]) -> str:
    return apply_edits(text, "a.arch.yaml", [Edit(keys, value) for keys, value in edits], {})


def flow(quick: str) -> str:
    return f"{HEAD}training: {{dataset: cifar10, quick: {quick}}}  # that's it\n"


# ------------------------------------------------------------------------------------------- absent keys, in blocks


def test_an_absent_key_becomes_a_line_where_the_languages_order_has_it() -> None:
    new = edited(BLOCK, (("training", "accuracy"), 0.72), (("training", "calibration"), CALIBRATION))
    assert new == BLOCK.replace("epochs: 10\n", f"epochs: 10\n  accuracy: 0.72\n  calibration: {CALIBRATED}\n")


def test_an_absent_key_is_indented_as_its_siblings() -> None:
    new = edited(BLOCK, (("training", "quick", "accuracy"), 0.7), (("training", "quick", "precision"), "bf16"))
    added = "      precision: bf16\n      accuracy: 0.7\n"
    assert new == BLOCK.replace("epochs: 3  # enough\n", f"epochs: 3  # enough\n{added}")


def test_sections_and_their_parts_may_be_added_at_one_place() -> None:
    text = HEAD + "training:\n  quick:\n    dataset: cifar10\n  dataset: cifar10\n"
    new = edited(text, (("training", "epochs"), 4), (("training", "quick", "compile"), True))
    assert new == text.replace("    dataset: cifar10\n", "    dataset: cifar10\n    compile: true\n") + "  epochs: 4\n"


def test_windows_line_ends_stay() -> None:
    new = edited(BLOCK.replace("\n", "\r\n"), (("training", "quick", "seed"), 3))
    assert new == BLOCK.replace("# enough\n", "# enough\n      seed: 3\n").replace("\n", "\r\n")


def test_a_file_without_a_newline_at_its_end_gets_none() -> None:
    text = HEAD + "training:\n  dataset: cifar10"
    new = edited(text, (("training", "accuracy"), 0.5), (("training", "calibration"), CALIBRATION))
    assert new == f"{text}\n  accuracy: 0.5\n  calibration: {CALIBRATED}"


def test_a_byte_order_mark_stays() -> None:
    assert edited("\ufeff" + BLOCK, (("training", "accuracy"), 0.5))[:12] == "\ufeffbuild: m:f\n"


def test_text_that_keeps_its_blank_lines_keeps_them() -> None:
    text = HEAD + "training:\n  dataset:\n    name: files\n    about: |+\n      two\n\n\n  epochs: 3\n"
    new = edited(text, (("training", "dataset", "extra"), 1), (("training", "resize"), 32))
    assert new == text.replace("  epochs", "    extra: 1\n  resize: 32\n  epochs")


def test_a_layer_gets_a_count() -> None:
    text = HEAD + "layers:\n  conv:\n    type: Conv2d\n  fc: {output: [B, 10]}\n"
    new = edited(text, (("layers", "conv", "parameters"), 156), (("layers", "fc", "type"), "Linear"))
    assert new == HEAD + (
        "layers:\n  conv:\n    type: Conv2d\n    parameters: 156\n  fc: {output: [B, 10], type: Linear}\n"
    )


@pytest.mark.parametrize(
    ("keys", "value", "old", "new"),
    [
        (("training", "quick", "accuracy"), 0.7, "      args: {a: 1}\n", "      args: {a: 1}\n      accuracy: 0.7\n"),
        (("function", "budget"), {"time": "3 s"}, "  at: {B: 2}\n", '  at: {B: 2}\n  budget: {time: "3 s"}\n'),
        (("layers", "fc", "output"), ["B", 10], "type: Linear", "type: Linear, output: [B, 10]"),
    ],
)
def test_an_absent_key_goes_where_its_section_has_it(keys: tuple[str, ...], value: Any, old: str, new: str) -> None:
    text = HEAD + (
        "layers:\n  fc: {type: Linear, parameters: 5}\n"
        "function:\n  at: {B: 2}\n"
        "training:\n  dataset: cifar10\n  quick:\n      args: {a: 1}\n      calibration: ~\n"
    )
    assert edited(text, (keys, value)) == text.replace(old, new, 1)


# ------------------------------------------------------------------------------------------- absent keys, in braces


@pytest.mark.parametrize(
    ("quick", "expected"),
    [
        ("{dataset: x, epochs: 3}", "{dataset: x, epochs: 3, accuracy: 0.72}"),
        ("{dataset: x, epochs: 3 ,  }", "{dataset: x, epochs: 3, accuracy: 0.72 ,  }"),
        ("{ epochs: 3 }", "{ epochs: 3, accuracy: 0.72 }"),
        ("{}", "{accuracy: 0.72}"),
        ("{ }", "{accuracy: 0.72 }"),
        ("{dataset: x, # a\n   epochs: 3  # b\n   }", "{dataset: x, # a\n   epochs: 3, accuracy: 0.72  # b\n   }"),
        ("{dataset: {name: x}}", "{dataset: {name: x}, accuracy: 0.72}"),
        ("{dataset: 'x'}", "{dataset: 'x', accuracy: 0.72}"),
        ("{seed: , }", "{seed: , accuracy: 0.72, }"),
        ("{calibration: null, epochs: 3}", "{calibration: null, epochs: 3, accuracy: 0.72}"),
        ("{epochs: 3, calibration: null}", "{epochs: 3, accuracy: 0.72, calibration: null}"),
    ],
)  # fmt: skip
def test_an_absent_key_goes_behind_its_siblings(quick: str, expected: str) -> None:
    assert edited(flow(quick), (("training", "quick", "accuracy"), 0.72)) == flow(expected)


def test_an_empty_map_takes_several_keys() -> None:
    new = edited(flow("{}"), (("training", "quick", "accuracy"), 0.72), (("training", "quick", "seed"), 1))
    assert new == flow("{seed: 1, accuracy: 0.72}") or new == flow("{accuracy: 0.72, seed: 1}")


# ------------------------------------------------------------------------------------------- values that are there


def test_numbers_and_truths_are_replaced() -> None:
    text = HEAD + "training: {dataset: x, accuracy: 0.910, compile: false, precision: 'fp32', epochs: 10}\n"
    new = edited(
        text, (("training", "accuracy"), 0.87), (("training", "compile"), True), (("training", "precision"), "bf16")
    )
    assert new == HEAD + "training: {dataset: x, accuracy: 0.87, compile: true, precision: 'bf16', epochs: 10}\n"


def test_what_is_already_so_stays_as_it_is_written() -> None:
    text = HEAD + "training: {dataset: x, accuracy: 0.870, clip_grad_norm: 1_0.0, epochs: 1_0}\n"
    assert edited(text, (("training", "accuracy"), 0.87), (("training", "epochs"), 10)) == text


def test_a_value_that_is_not_written_is_filled_in() -> None:
    text = HEAD + "training:\n  accuracy:   # to come\n  dataset: x\n  seed: ~\n"
    new = edited(text, (("training", "accuracy"), 0.5), (("training", "seed"), 7))
    assert new == HEAD + "training:\n  accuracy: 0.5   # to come\n  dataset: x\n  seed: 7\n"


def test_a_map_is_replaced_entry_by_entry() -> None:
    text = HEAD + (
        "training:\n  dataset: x\n  calibration:  # by hand\n    mean: 0.90  # of five\n    std: 0.0040\n"
        "    seeds: 3\n    device: cpu\n    torch: 2.14.0\n    date: '2025-12-24'\n"
    )
    assert edited(text, (("training", "calibration"), CALIBRATION)) == HEAD + (
        "training:\n  dataset: x\n  calibration:  # by hand\n    mean: 0.8123  # of five\n    std: 0.0040\n"
        "    seeds: 5\n    device: NVIDIA H200\n    torch: \"2.15\"\n    date: '2026-01-02'\n"
    )


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "training: &t {dataset: x}\nthroughput: {batch_size: 1}\n", "a.arch.yaml:3: .* shared by an alias"),
        (HEAD + "training: {dataset: &d x}\n", "a.arch.yaml:3: .* shared by an alias"),
        (HEAD, r"a.arch.yaml:1: `accuracy` can't be added: training is no map to add it to"),
        (HEAD + "training:\n  ? dataset\n  : x\n", "updating would break the file, nothing was written"),
        (
            HEAD + "training:\n  dataset: x\n  init: |\n    y",
            "updating would change more than it should, nothing was written",
        ),
    ],
)
def test_what_can_not_be_added_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edited(text, (("training", "accuracy"), 0.5))


def test_a_value_out_of_bounds_is_refused() -> None:
    with pytest.raises(UsageError, match="updating would break the file, nothing was written"):
        edited(BLOCK, (("training", "accuracy"), 1.5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"build": "m:f", "input": ["B", 4], "layers": {"fc": ["B", 2]}}\n',
            '{"build": "m:f", "input": ["B", 4], "layers": {"fc": ["B", 2]}, "output": ["B", 2], "macs": 1000}\n',
        ),
        (
            '{\n  "build": "m:f",\n  "input": ["B", 4]\n}\n',
            '{\n  "build": "m:f",\n  "input": ["B", 4],\n  "output": ["B", 2],\n  "macs": 1000\n}\n',
        ),
        (
            "{build: m:f, input: [B, 4], training: {dataset: x}}",
            "{build: m:f, input: [B, 4], output: [B, 2], macs: 1000, training: {dataset: x}}",
        ),
    ],
)
def test_sections_are_added_to_a_file_in_one_pair_of_braces(text: str, expected: str) -> None:
    sections = {"macs": "macs: 1_000", "output": "output: [B, 2]"}
    assert apply_edits(text, "a.arch.yaml", [], sections) == expected


ANCHORED = """\
layers:
  a: &conv {type: X, output: [B, 8], parameters: 5}  # the first
  b: *conv
  c: *conv  # the last
"""


def test_values_that_an_anchor_shares_stay_shared_where_all_change_alike() -> None:
    edits = [Edit(("layers", key, "output", 1), 16) for key in "abc"]
    assert apply_edits(HEAD + ANCHORED, "a.arch.yaml", edits, {}) == HEAD + ANCHORED.replace("8", "16")


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (Edit(("layers", "b", "output", 1), 16), "  b: {type: X, output: [B, 16], parameters: 5}\n"),
        (Removal(("layers", "b")), ""),
    ],
)
def test_values_that_an_anchor_shares_are_written_out_where_one_changes(change: Change, row: str) -> None:
    apart = ANCHORED.replace("&conv ", "").replace("  b: *conv\n", row)
    apart = apart.replace("*conv", "{type: X, output: [B, 8], parameters: 5}")
    assert apply_edits(HEAD + ANCHORED, "a.arch.yaml", [change], {}) == HEAD + apart


def test_a_row_is_added_to_a_table_in_json() -> None:
    text = '{"build": "m:f", "input": ["B", 4], "layers": {\n  "fc": {"type": "Linear"}\n}}\n'
    added = Addition(("layers", "act"), {"type": "ReLU", "output": ["B", 2000]}, "fc")
    expected = text.replace('"}\n', '"},\n  "act": {"type": "ReLU", "output": ["B", 2000]}\n')
    assert apply_edits(text, "a.arch.yaml", [added], {}) == expected


# ------------------------------------------------------------------------------------------- any file, any edit

NEWLINES = st.sampled_from(["\n", "\r\n"])
COMMENTS = st.sampled_from(["", "", "  # so", " # {a: b}, c: d", "\t# tab"])
BLOCKS = st.sampled_from(["|\n     two\n     lines", ">-\n     a\n\n     b"])
SCALARS = st.sampled_from(["x", "'it''s'", '"a # b"', "[1,\n     2]", "a\n     b", "{}", "\n    - a\n    - b"])
FLOW_SCALARS = st.sampled_from(["x", "'it''s'", '"}"', "[1, 2 ]", "{}", "{a: 1,}", "a b", "1e-3", "~"])
LINES_BETWEEN = st.sampled_from(["", "", "\n", "    # on\n"])
NAMES = st.lists(st.sampled_from(["lr", "root", "k e y", "z"]), max_size=3, unique=True)
# Characters that YAML forbids can't be written at all, escaped or not.
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=9)
LEAVES = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | st.just("")
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6)


@st.composite
def datasets_in_braces(draw: st.DrawFn) -> str:
    gap = draw(st.sampled_from([" ", "\n      ", "  # note\n      "]))
    body = f",{gap}".join(["name: n", *(f"{name}: {draw(FLOW_SCALARS)}" for name in draw(NAMES))])
    return f" {{{gap}{body}{draw(st.sampled_from(['', ',', ' , ']))}{gap}}}{draw(COMMENTS)}\n"


@st.composite
def datasets_in_blocks(draw: st.DrawFn) -> str:
    lines = [draw(COMMENTS), "\n    name: n\n"]
    for name in draw(NAMES):
        written = draw(BLOCKS | st.builds("{}{}".format, SCALARS, COMMENTS))
        lines.append(f"    {name}: {written}\n{draw(LINES_BETWEEN)}")
    return "".join(lines)


@given(
    dataset=datasets_in_braces() | datasets_in_blocks(),
    after=st.sampled_from(["", "  epochs: 3\n", "output: [B, 10]\n"]),
    newline=NEWLINES,
    ended=st.booleans(),
    key=st.sampled_from(["extra", "a b", "ключ"]),
    value=VALUES,
)
@settings(max_examples=300, deadline=None)
def test_an_added_key_changes_nothing_else(
    dataset: str, after: str, newline: str, ended: bool, key: str, value: Any
) -> None:
    text = (HEAD + "training:\n  dataset:" + dataset + after).replace("\n", newline)
    text = text if ended else text.rstrip("\r\n")
    assume(not text.endswith("lines"))  # a block of text cut short by the file's end: refused, see above
    new = edited(text, (("training", "dataset", key), value))
    expected = parse_document(text, "a").value
    expected["training"]["dataset"][key] = value
    assert parse_document(new, "a").value == expected
    added = len(new) - len(text)
    assert any(new[:at] + new[at + added :] == text for at in range(len(text) + 1))


@given(value=VALUES, old=st.sampled_from(["old", '"old"', "'old'", "{a b: 1}", "[1, 2]", ""]))
@settings(max_examples=200, deadline=None)
def test_a_replaced_value_is_read_back(value: Any, old: str) -> None:
    head, tail = HEAD + "training:\n  dataset: {name: n, root:", ", z: 1}  # here\n  epochs: 3\n"
    new = edited(f"{head} {old}{tail}", (("training", "dataset", "root"), value))
    assert new.startswith(head)
    assert new.endswith(tail)
    read = parse_document(new, "a").value["training"]["dataset"]["root"]
    # A number takes over the quotes of the one before, as in shapes.
    assert read == (f"{value:_}" if type(value) is int and old[:1] in ("'", '"') and old else value)
