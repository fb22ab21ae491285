"""The lines that say a matching: as few as there can be, and true of nothing else."""

from __future__ import annotations

from archcheck.function.records import FunctionRecord
from archcheck.function.weight_lines import as_lines
from archcheck.function.weight_matching import WeightMatching
from archcheck.spec.weight_expressions import parse_weight_expression


def record(*names: str) -> FunctionRecord:
    keys = {name: f"weight (2, 2) {i}" for i, name in enumerate(names)}
    return FunctionRecord((), keys, shapes=dict.fromkeys(names, (2, 2)))


def lines(matching: dict[str, str], ours: FunctionRecord, theirs: FunctionRecord) -> dict[str, str]:
    parsed = {name: parse_weight_expression(text) for name, text in matching.items()}
    return as_lines(WeightMatching(parsed), ours, theirs)


def test_what_is_the_same_in_every_layer_is_one_line() -> None:
    ours, theirs = record("l.0.w", "l.1.w", "head"), record("h.0.v", "h.1.v", "out")
    matching = {"h.0.v": "transpose(l.0.w)", "h.1.v": "transpose(l.1.w)", "out": "transpose(head)"}
    assert lines(matching, ours, theirs) == {"h.*.v": "transpose(l.*.w)", "out": "transpose(head)"}


def test_layers_that_are_counted_otherwise_have_a_line_each() -> None:
    ours, theirs = record("l.0.w", "l.1.w"), record("h.1.v", "h.2.v")
    matching = {"h.1.v": "l.0.w", "h.2.v": "l.1.w"}
    assert lines(matching, ours, theirs) == matching


def test_a_line_says_nothing_of_what_is_not_matched() -> None:
    ours, theirs = record("l.0.w", "l.1.w", "l.2.w"), record("h.0.v", "h.1.v", "h.2.v")
    matching = {"h.0.v": "transpose(l.0.w)", "h.1.v": "transpose(l.1.w)"}
    assert lines(matching, ours, theirs) == matching


def test_numbers_that_are_the_same_everywhere_stay() -> None:
    ours, theirs = record("a.0.w", "a.1.w"), record("b.0.0.v", "b.1.0.v")
    matching = {"b.0.0.v": "a.0.w", "b.1.0.v": "a.1.w"}
    assert lines(matching, ours, theirs) == {"b.*.0.v": "a.*.w"}
