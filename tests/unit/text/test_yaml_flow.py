"""Plain values as YAML's flow style."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcheck.spec.document import parse_document
from archcheck.text.yaml_flow import format_flow, format_key


@pytest.mark.parametrize(
    ("key", "text"),
    [("b2.0", "b2.0"), ("7", "7"), ("in_channels", "in_channels"), ("act[1]", '"act[1]"'), ("a b", '"a b"'),
     ("", '""'), ("**", '"**"'), ("é", '"é"')],
)  # fmt: skip
def test_keys_are_quoted_where_they_could_be_read_as_anything_else(key: str, text: str) -> None:
    assert format_key(key) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.05, "0.05"),
        (1e-7, "1e-07"),
        (math.inf, ".inf"),
        (-math.inf, "-.inf"),
        (math.nan, ".nan"),
        ("fashion-mnist", "fashion-mnist"),
        ("H/4", "H/4"),
        ("true", '"true"'),
        ("12", '"12"'),
        ("2.15.0", "2.15.0"),
        ("NVIDIA H200", '"NVIDIA H200"'),
        ("", '""'),
        ([1, ["B", None]], "[1, [B, null]]"),
        ((1, 2), "[1, 2]"),
        ({"name": "SGD", "lr": 0.1, 7: {}}, "{name: SGD, lr: 0.1, 7: {}}"),
    ],
)
def test_values_on_one_line(value: Any, text: str) -> None:
    assert format_flow(value) == text


texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse_document(f"key: {format_flow(value)}\n", "x.yaml").value == {"key": value}
