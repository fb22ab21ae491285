"""Mismatches as text: what is told whole, and what in a line."""

from __future__ import annotations

from archcheck.findings import Edit, Mismatch
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.spec_file import parse_spec

SPEC = parse_spec("build: nets:net\ninput: [B, 3]\nlayers:\n  a: [B, 1]\n  b: [B, 2]\n", "net.arch.yaml")
FIRST = Mismatch(("layers", "a", "output"), "a", "output shape differs", "[B, 1]", "[B, 9]")
SECOND = Mismatch(("layers", "b", "output"), "b", "output shape differs", "[B, 2]", "[B, 8]")


def following(number: int) -> list[Mismatch]:
    edits = (Edit(("output",), 1),)
    return [Mismatch(("output",), f"m{i}", "differs", follows=True, edits=edits) for i in range(number)]


def test_what_follows_is_a_line_behind_what_does_not() -> None:
    text = format_mismatches(SPEC, [FIRST, *following(5), SECOND], None, "update", tells_all=False)
    assert text.splitlines() == [
        "net.arch.yaml:4: a: output shape differs",
        "  expected  [B, 1]",
        "  actual    [B, 9]",
        "net.arch.yaml:5: b: output shape differs",
        "  expected  [B, 2]",
        "  actual    [B, 8]",
        "  follows   5 more: m0, m1, m2, m3, … (-vv tells each)",
        "  accept    update",
    ]


def test_all_is_told_where_that_is_asked_for() -> None:
    lines = format_mismatches(SPEC, [FIRST, *following(5)], None).splitlines()
    assert [line.split(": ")[1] for line in lines if "differs" in line] == ["a", "m0", "m1", "m2", "m3", "m4"]
    assert not any("follows" in line for line in lines)


def test_layers_that_differ_behind_the_first_are_named_all_of_them_where_that_is_asked_for() -> None:
    one = Mismatch(("layers", "a"), "a", "the output differs", behind=("b", "c", "d", "e", "f"))
    assert format_mismatches(SPEC, [one], None, tells_all=False).splitlines()[1:] == [
        "  behind    5 more: b, c, d, e, …"
    ]
    assert format_mismatches(SPEC, [one], None).splitlines()[1:] == ["  behind    5 more: b, c, d, e, f"]
