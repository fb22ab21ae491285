"""Locks written: what changes in them, and how they look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcheck.findings import Edit, Removal, Rename
from archcheck.recording.lock_writer import changed_lock, describe_changes, format_lock, is_of_lock

FUNCTION: dict[str, Any] = {"at": {"B": 2}, "layers": {"a": {"eval": 1.5}, "b": {"eval": 2.0}}, "output": {"eval": 2.0}}
FEWER = {"a": {"eval": 1.5}}
RENAMED = {"a": {"eval": 1.5}, "c": {"eval": 2.0}}
OLD: dict[str, Any] = {"format": 1, "recorded_with": {"torch": "1.0"}, "build": "nets:old", "function": FUNCTION}


def test_a_layer_is_a_line() -> None:
    assert format_lock(OLD) == (
        '{\n  "format": 1,\n  "recorded_with": {"torch": "1.0"},\n  "build": "nets:old",\n  "function": {\n'
        '    "at": {"B": 2},\n    "layers": {\n      "a": {"eval": 1.5},\n      "b": {"eval": 2.0}\n    },\n'
        '    "output": {"eval": 2.0}\n  }\n}\n'
    )


@pytest.mark.parametrize("name", ['quo"te', "new\nline", "é", "back\\slash", ""])
def test_any_name_is_read_back(name: str) -> None:
    value = {"function": {"layers": {name: {"eval": 1.0}}}}
    text = format_lock(value)
    assert json.loads(text) == value
    assert len(text.splitlines()) == 7


def test_what_is_the_same_keeps_the_versions_that_it_was_recorded_with() -> None:
    same = changed_lock(OLD, "nets:new", [Edit(("lock", "function"), FUNCTION)])
    assert same == {**OLD, "build": "nets:new"}
    other = changed_lock(OLD, "nets:old", [Edit(("lock", "function"), {**FUNCTION, "large": 8})])
    assert set(other["recorded_with"]) == {"archcheck", "python", "torch", "torchvision"}
    assert other["function"]["large"] == 8


def test_a_renamed_layer_stays_in_its_place_and_the_old_value_as_it_is() -> None:
    rename = Rename(("lock", "function", "layers", "a"), "first")
    new = changed_lock(OLD, "nets:old", [rename])
    assert list(new["function"]["layers"]) == ["first", "b"]
    assert list(FUNCTION["layers"]) == ["a", "b"]
    assert changed_lock(new, "nets:old", [rename]) == new  # it isn't there any more
    taken = changed_lock(OLD, "nets:old", [Rename(("lock", "function", "layers", "a"), "b")])
    assert taken["function"] == FUNCTION


def test_the_place_tells_what_is_of_the_lock() -> None:
    assert is_of_lock(Edit(("lock", "initial"), {}))
    assert is_of_lock(Rename(("lock", "function", "layers", "a"), "b"))
    assert not is_of_lock(Edit(("layers", "lock"), {}))
    assert not is_of_lock(Removal(("layers", "a")))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({**OLD, "function": {**FUNCTION, "layers": {"a": {"eval": 1.5}, "b": {"eval": 9}}}}, "recorded anew: b"),
        ({**OLD, "function": {**FUNCTION, "layers": FEWER}}, "recorded anew: how it was recorded, 1 gone"),
        ({**OLD, "initial": {"a.weight": {"std": 1.0}}}, "recorded anew: a.weight"),
        ({**OLD, "function": {**FUNCTION, "layers": RENAMED}}, "under other names: c"),
        ({**OLD, "function": {**FUNCTION, "layers": {**FEWER, "c": {"eval": 9}}}}, "recorded anew: c, 1 gone"),
    ],
)  # fmt: skip
def test_an_update_says_in_a_line_what_it_wrote(new: dict[str, Any], told: str) -> None:
    assert describe_changes(OLD, new) == told
    assert describe_changes({}, OLD) == "recorded, 2 layers"
