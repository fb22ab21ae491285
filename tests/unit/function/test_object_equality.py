"""Objects that surely hold the same, whatever their own comparison says."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.function.object_equality import are_surely_equal


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


def adder(number: int) -> Any:
    return lambda x: x + number


class Slotted:
    __slots__ = ("value",)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([1, "a", None], [1, "a", None], True, id="plain values"),
        pytest.param([1, 2], [1, 2, 3], False, id="another length"),
        pytest.param({"a": (1,)}, {"a": (2,)}, False, id="another value in a map"),
        pytest.param(1, 1.0, False, id="another type"),
        pytest.param(torch.ones(3), torch.ones(3), True, id="tensors"),
        pytest.param(torch.ones(3), torch.ones(3, dtype=torch.float64), False, id="another dtype"),
        pytest.param(Plain([1]), Plain([1]), True, id="objects"),
        pytest.param(Plain([1]), Plain([2]), False, id="objects with other attributes"),
        pytest.param(partial(max, 1), partial(max, 2), False, id="partials"),
        pytest.param(adder(1), adder(1), True, id="closures"),
        pytest.param(adder(1), adder(2), False, id="closures over another value"),
        pytest.param(nn.Linear(2, 2), nn.Linear(2, 3), True, id="modules are compared elsewhere"),
        pytest.param(Slotted(), Slotted(), False, id="unknown parts"),
    ],
)
def test_equality_is_told_part_by_part(one: Any, other: Any, expected: bool) -> None:
    assert are_surely_equal(one, other) is expected


def test_values_nested_too_deeply_are_not_surely_equal() -> None:
    def nested(depth: int) -> Any:
        return [nested(depth - 1)] if depth else []

    assert are_surely_equal(nested(5), nested(5))
    assert not are_surely_equal(nested(20), nested(20))
