"""Words of messages."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.text.words import (
    clip,
    close_names,
    counted,
    did_you_mean,
    key_text,
    kind_of,
    listed,
    quoted,
    shown,
    times,
    unknown,
)


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("", 4, ""), ("ab", 1, "…")]
)
def test_long_text_is_clipped(text: str, limit: int, expected: str) -> None:
    assert clip(text, limit) == expected


def test_quoted_text_stays_on_one_line_and_has_60_characters() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert quoted("x" * 60) == f"'{'x' * 60}'"
    assert quoted("x" * 61) == f"'{'x' * 59}…'"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"), ({}, "an empty map"), ([], "an empty list"), ({"a": 1}, "a map"), ([1], "a list"),
        (True, "true"), (False, "false"), (3, "3"), (1.5, "1.5"), ("a", "'a'"), ("", "''"),
        ("x" * 90, f"'{'x' * 59}…'"),
    ],
)  # fmt: skip
def test_values_as_messages_show_them(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("key", "text"), [("b2.0", "b2.0"), ("a b", "a b"), ("a\nb", r"'a\nb'"), (" ", "' '"), ("k" * 61, "k" * 59 + "…")]
)
def test_keys_are_quoted_where_they_would_break_the_line(key: str, text: str) -> None:
    assert key_text(key) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "None"), ([], "a list"), (3, "an int"), (OSError(), "an OSError"), ("x", "a str")]
)
def test_kinds_of_objects(value: object, text: str) -> None:
    assert kind_of(value) == text


def test_close_names_come_likeliest_first_and_case_does_not_count() -> None:
    known = ["Conv1", "conv2", "fc"]
    assert close_names("conv1", known, limit=3) == ["Conv1", "conv2"]
    assert close_names("CONV2", known) == ["conv2"]
    assert close_names("pool", known, limit=3) == []


def test_an_unknown_name_is_told_with_the_one_meant_or_all() -> None:
    assert unknown("key", "mac", ["macs", "name"]) == "unknown key 'mac'; did you mean macs?"
    assert unknown("key", "xyz", ["macs", "name"]) == "unknown key 'xyz'; expected one of macs, name"
    assert unknown("dtype", "x" * 61, ["int8"]) == f"unknown dtype '{'x' * 59}…'; expected one of int8"


def test_a_hint_ends_a_message_or_is_nothing() -> None:
    assert did_you_mean("fc", ["fc1", "conv"]) == ": did you mean 'fc1'?"
    assert did_you_mean("RESNET18", {"resnet18": None}) == ": did you mean 'resnet18'?"
    assert did_you_mean("pool", ["fc1", "conv"]) == ""


@pytest.mark.parametrize(
    ("names", "limit", "text"),
    [([], 3, ""), (["a"], 3, "a"), (["a", "b", "c"], 3, "a, b, c"), (["a", "b", "c", "d"], 3, "a, b, c, … (4 in all)")],
)
def test_lists_are_cut_and_counted(names: Any, limit: int, text: str) -> None:
    assert listed(names, limit) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs")])
def test_nouns_follow_their_number(number: int, text: str) -> None:
    assert counted(number, "epoch") == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 times"), (1, "once"), (2, "twice"), (3, "3 times")])
def test_how_often(number: int, text: str) -> None:
    assert times(number) == text
