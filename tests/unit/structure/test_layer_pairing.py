"""When layers are paired by name, and what their calls are called."""

from __future__ import annotations

import pytest

from archcheck.structure.layer_pairing import call_label, have_same_names


@pytest.mark.parametrize(("num_common", "num_layers", "expected"), [(5, 10, True), (4, 10, False), (0, 0, True)])
def test_half_of_the_names_are_enough(num_common: int, num_layers: int, expected: bool) -> None:
    assert have_same_names(num_common, num_layers) is expected


@pytest.mark.parametrize(("index", "num_calls", "label"), [(0, 1, "a.b"), (0, 2, "a.b[0]"), (1, 2, "a.b[1]")])
def test_only_repeated_calls_are_numbered(index: int, num_calls: int, label: str) -> None:
    assert call_label("a.b", index, num_calls) == label
