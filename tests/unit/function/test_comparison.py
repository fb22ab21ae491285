"""Digests held against those recorded: what counts as a difference, and which layer is named."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from archcheck.function.comparison import FunctionDifference, compare_function
from archcheck.function.records import CallDigest, DifferingCall, FunctionRecord
from archcheck.spec.document import parse_document
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.records import CallRecord, Crash, ForwardRecord, ModuleRecord, StructureTrace
from tests.unit.function.running import locked

Numbers = Mapping[str, float]
SPEC = "build: nets:net\ninput: [B, 8]\n"
HEAD = "function:\n  at: {B: 4}\n  layers:\n"


def record(*calls: tuple[str, Numbers], crash: Crash | None = None, stage: str = "") -> FunctionRecord:
    """Calls by the names of their modules in the order in which they return, the network's own as ""."""
    counts: dict[str, int] = {}
    digests = []
    for name, numbers in calls:
        counts[name] = counts.get(name, -1) + 1
        digests.append(CallDigest(name, counts[name], "Linear", numbers))
    return FunctionRecord(tuple(digests), crash=crash, stage=stage)


def trace_of(now: FunctionRecord) -> StructureTrace:
    names = ["", *{call.name for call in now.calls if call.name}]
    modules = {name: ModuleRecord(name, "Linear", "torch.nn.Linear", 0, 0, 0) for name in names}
    calls = [CallRecord(call.name, call.index) for call in now.calls]
    return StructureTrace(modules, {}, [ForwardRecord({}, calls)], None)


def problems(expected: Mapping[str, Numbers], now: FunctionRecord, precision: str = "float64") -> list[str]:
    """`subject: problem` of a record against recorded layers, the network's own as `output`."""
    rows = "".join(f"    {name}: {dict(row)}\n" for name, row in expected.items() if name != "output")
    text = f"{HEAD}{rows}  output: {dict(expected['output'])}\n  precision: {precision}\n"
    found = compare_function(spec_of(text), now, trace_of(now))
    return [] if found is None else [f"{found.mismatch.subject}: {found.mismatch.problem}"]


def spec_of(function: str) -> SpecFile:
    """A spec of which a function is recorded, written as YAML."""
    return locked(SPEC, parse_document(function, "s.yaml").value["function"])


def difference(text: str, now: FunctionRecord) -> FunctionDifference:
    """What differs between a recorded function and a record, which is something."""
    found = compare_function(spec_of(text), now, trace_of(now))
    assert found is not None
    return found


RECORDED = {"a": {"eval": 1.0}, "b": {"eval": 2.0}, "output": {"eval": 2.0}}


def test_the_same_numbers_are_no_difference() -> None:
    assert problems(RECORDED, record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("", {"eval": 2.0}))) == []


def test_the_first_layer_that_differs_is_named() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.5}), ("", {"eval": 2.5}))
    assert problems(RECORDED, now) == ["b: the output differs"]


def test_where_no_listed_layer_differs_it_is_the_output() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("", {"eval": 2.5}))
    assert problems(RECORDED, now) == ["output: the output differs"]


def test_layers_that_differ_while_the_network_does_not_are_a_rewrite() -> None:
    assert problems(RECORDED, record(("a", {"eval": 9.0}), ("b", {"eval": 2.0}), ("", {"eval": 2.0}))) == []


@pytest.mark.parametrize(
    ("actual", "precision", "differs"),
    [
        (2.0 * (1 + 1e-8), "float64", False),
        (2.0 * (1 + 1e-6), "float64", True),
        (2.0 * (1 + 2e-3), "float32", False),
        (2.0 * (1 + 5e-3), "float32", True),
        (math.nan, "float64", True),
        (math.inf, "float64", True),
    ],
)
def test_the_tolerance_is_relative_and_the_precisions(actual: float, precision: str, differs: bool) -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("", {"eval": actual}))
    assert bool(problems(RECORDED, now, precision)) == differs


def test_what_is_next_to_nothing_is_noise() -> None:
    expected = {"a": {"eval": 1e9}, "output": {"eval": 1e-16}}
    now = record(("a", {"eval": 1e9}), ("", {"eval": 7e-16}))
    assert problems(expected, now) == []


def test_large_numbers_inside_hide_no_difference_of_the_output() -> None:
    expected = {"a": {"eval": 4e8}, "output": {"eval": 1.0}}
    now = record(("a", {"eval": 4e8}), ("", {"eval": 1.08}))
    assert problems(expected, now) == ["output: the output differs"]


def test_gradients_are_named_from_behind() -> None:
    expected = {"a": {"gradient": 1.0}, "b": {"gradient": 1.0}, "output": {"eval": 1.0, "gradient": 2.0}}
    now = record(("a", {"gradient": 3.0}), ("b", {"gradient": 3.0}), ("", {"eval": 1.0, "gradient": 6.0}))
    assert problems(expected, now) == ["b: the gradients of its parameters differ"]


def test_what_a_change_elsewhere_does_to_small_gradients_names_no_layer() -> None:
    expected = {"a": {"gradient": 1.0}, "b": {"gradient": 3.0}, "output": {"eval": 1.0, "gradient": 4.0}}
    now = record(("a", {"gradient": 5.0}), ("b", {"gradient": 3.00001}), ("", {"eval": 1.0, "gradient": 8.0}))
    assert problems(expected, now) == ["a: the gradients of its parameters differ"]


def test_of_layers_inside_one_another_the_innermost_is_named() -> None:
    expected = {"a.b": {"buffers": 1.0}, "a": {"buffers": 1.0}, "output": {"eval": 1.0, "buffers": 1.0}}
    now = record(("a.b", {"buffers": 2.0}), ("a", {"buffers": 2.0}), ("", {"eval": 1.0, "buffers": 2.0}))
    assert problems(expected, now) == ["a.b: its buffers after a step in train mode differ"]


def test_gradients_that_were_not_there_are_a_difference() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0, "gradient": 5.0}), ("", {"eval": 2.0, "gradient": 5.0}))
    assert problems(RECORDED, now) == ["b: the gradients of its parameters differ"]


def test_a_kind_that_was_not_recorded_is_none() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("", {"eval": 2.0, "train": 5.0, "large": 7.0}))
    assert problems(RECORDED, now) == []


def test_outputs_come_before_all_else() -> None:
    expected = {"a": {"eval": 1.0, "initial": 1.0}, "output": {"eval": 1.0, "initial": 1.0}}
    now = record(("a", {"eval": 2.0, "initial": 9.0}), ("", {"eval": 2.0, "initial": 9.0}))
    assert problems(expected, now) == ["a: the output differs"]


def test_renamed_layers_are_matched_by_what_they_compute() -> None:
    now = record(("x", {"eval": 1.0}), ("y", {"eval": 2.5}), ("", {"eval": 2.5}))
    found = difference(f"{HEAD}    a: {{eval: 1}}\n    b: {{eval: 2}}\n  output: {{eval: 2}}\n", now).mismatch
    assert (found.subject, found.problem) == ("y", "the output differs")
    assert ("recorded", "as b") in found.notes


def test_the_message_has_mean_rms_and_check_and_what_else_differs() -> None:
    now = record(("a", {"eval": 1.0}), ("", {"mean": 0.25, "rms": 2.0, "eval": 9.5, "train": 1.0}))
    text = f"{HEAD}    a: {{eval: 1}}\n  output: {{mean: 0.5, rms: 1, eval: 4.25, train: 2}}\n"
    found = difference(text, now).mismatch
    assert found.keys == ("lock", "function", "output", "eval")
    assert found.expected == "mean 0.5, rms 1, check 4.25"
    assert found.actual == "mean 0.25, rms 2, check 9.5"
    assert found.notes[0] == ("differs", "in the network as a whole: output, train mode")


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("eval", "stopped in eval mode"),
        ("train", "stopped in train mode"),
        ("backward", "stopped in computing gradients"),
    ],
)
def test_a_crash_says_in_which_mode(stage: str, text: str) -> None:
    now = record(("", {"eval": 1.0}), crash=Crash("b", "ValueError: no", "nets.py:3"), stage=stage)
    assert problems(RECORDED, now) == [f"b: {text}"]


def test_an_update_of_what_is_not_finite_is_not_written() -> None:
    now = record(("a", {"eval": math.nan}), ("b", {"eval": math.nan}), ("", {"eval": math.nan}))
    text = f"{HEAD}    a: {{eval: 1}}\n  output: {{eval: 2}}\n"
    found = difference(text, now).mismatch
    assert found.edits == ()


def test_the_difference_names_the_recorded_call_and_has_its_numbers() -> None:
    now = record(("a", {"eval": 1.0}), ("b", {"eval": 2.0}), ("a", {"eval": 9.0}), ("", {"eval": 9.0, "train": 9.0}))
    text = f"{HEAD}    a[0]: {{eval: 1}}\n    b: {{eval: 2}}\n    a[1]: {{eval: 3, train: 4}}\n  output: {{eval: 2}}\n"
    numbers = {"eval": 3.0, "train": 4.0}
    assert difference(text, now).call == DifferingCall("a", 1, "eval", numbers, whole={"eval": 2.0})


def test_a_difference_of_the_network_itself_has_no_name() -> None:
    now = record(("a", {"eval": 1.0}), ("", {"eval": 9.5}))
    text = f"{HEAD}    a: {{eval: 1}}\n  output: {{eval: 4.25}}\n"
    assert difference(text, now).call == DifferingCall("", 0, "eval", {"eval": 4.25}, whole={"eval": 4.25})


def test_a_crash_is_a_difference_of_no_call() -> None:
    now = record(("", {"eval": 1.0}), crash=Crash("b", "ValueError: no", "nets.py:3"), stage="eval")
    assert difference(f"{HEAD}    a: {{eval: 1}}\n  output: {{eval: 2}}\n", now).call is None
