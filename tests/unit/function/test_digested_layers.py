"""The labels of the calls in a record."""

from __future__ import annotations

from archcheck.function.digested_layers import layers_of
from tests.unit.function.test_comparison import record


def test_repeated_calls_have_an_index_and_others_have_none() -> None:
    now = record(("a", {}), ("b", {}), ("a", {}), ("", {}))
    assert [layer.label for layer in layers_of(now)] == ["a[0]", "b", "a[1]"]
