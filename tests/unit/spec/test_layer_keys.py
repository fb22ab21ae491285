"""Keys of `layers`: names, globs and calls."""

from __future__ import annotations

import pytest

from archcheck.spec.layer_keys import parse_layer_key


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
