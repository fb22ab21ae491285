"""Keys of `layers`: names, globs and calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcheck.spec.layer_keys import format_layer_key, parse_layer_key


@pytest.mark.parametrize(
    ("key", "name", "matches"),
    [
        ("b2.*", "b2.0", True), ("b2.*", "b2.0.conv", False), ("b2.*", "b2", False), ("b2.**", "b2.0.conv", True),
        ("**.conv", "conv", True), ("**.conv", "b2.0.conv", True), ("**.conv", "b2.deconv", False),
        ("b?.0", "b2.0", True), ("b?.0", "b.0", False), ("a.b", "axb", False), ("**", "a.b.c", True),
        ("layer*.0", "layer1.0", True),
    ],
)  # fmt: skip
def test_globs(key: str, name: str, matches: bool) -> None:
    assert parse_layer_key(key).matches(name) is matches


def test_a_call_index_is_apart_from_the_name() -> None:
    assert (parse_layer_key("act[1]").pattern, parse_layer_key("act[1]").call) == ("act", 1)
    assert (parse_layer_key("act[x]").pattern, parse_layer_key("act[x]").call) == ("act[x]", None)


@pytest.mark.parametrize(
    ("key", "name", "others"),
    [
        (r"k\[0]", "k[0]", ["k", r"k\[0]"]),
        (r"a\*b", "a*b", ["axb", "ab"]),
        (r"a\?", "a?", ["ax"]),
        (r"\*\*", "**", ["a", "a.b"]),
        (r"a\\*", "a\\x", ["a*", "ax"]),  # the backslash is the name's, the star a glob's
        (r"k[0]\[1]", "k[0][1]", ["k[0]"]),
        (r"a\b", r"a\b", ["ab"]),  # a backslash before anything else is itself
        (r"b.*\[0]", "b.x[0]", ["b.x", "b.x[1]"]),
    ],
)
def test_a_backslash_takes_a_character_as_it_is(key: str, name: str, others: list[str]) -> None:
    parsed = parse_layer_key(key)
    assert parsed.call is None
    assert parsed.matches(name)
    assert [other for other in others if parsed.matches(other)] == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("b1.conv", "b1.conv"),
        ("k[0]", r"k\[0]"),
        ("a*b?", r"a\*b\?"),
        ("k[a]", "k[a]"),
        ("x\\", r"x\\"),
        ("[0]", "[0]"),
    ],
)
def test_a_name_is_written_with_as_few_backslashes_as_it_takes(name: str, key: str) -> None:
    assert format_layer_key(name) == key
    assert format_layer_key(name, 3) == f"{key}[3]"


@given(st.text(alphabet=r"ab01\*?[].", min_size=1, max_size=9), st.none() | st.integers(0, 99))
def test_every_name_and_call_can_be_written(name: str, call: int | None) -> None:
    parsed = parse_layer_key(format_layer_key(name, call))
    assert (parsed.name, parsed.call, parsed.is_glob) == (name, call, False)
    assert parsed.matches(name)
    assert not parsed.matches(f"{name}0")
