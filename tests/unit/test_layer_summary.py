"""The summary of a live model, from every form of input."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.errors import UsageError
from archcheck.layer_summary import summary
from archcheck.structure.records import TensorRecord


class Sum(nn.Module):
    def forward(self, x: Any, y: Any = None) -> Any:
        parts = [*(x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else [x])]
        total = sum(part.float().sum(-1, keepdim=True) for part in parts)
        return total if y is None else total + y.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    "value",
    [
        "B,5",
        (2, 5),
        torch.ones(2, 5),
        {"x": "B,5"},
        {"x": (2, 5), "y": torch.ones(2, 7)},
        ["B,5", "B,7"],
        [(2, 5), (2, 7)],
        '[["B",5],["B",7]]',
        [[(2, 5), torch.ones(2, 7)]],
        {"x": {"a": (2, 5), "b": [2, 3]}},
    ],
    ids=str,
)
def test_inputs_in_every_form(value: Any) -> None:
    assert summary(Sum(), value).trace.forwards[0].output == TensorRecord((2, 1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("B,T", "a summary needs sizes: write a number for T (only B, the batch, may stay free)"),
        (3, "expected a shape, a tensor, or a list or map of them, found int"),
        ([[{1}]], "expected a shape, a tensor, or a list or map of them, found set"),
        ("B,5:float31", "input: unknown dtype 'float31'; did you mean float32?"),
    ],
)
def test_inputs_that_can_not_be_understood(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        summary(Sum(), value)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^expected a torch\.nn\.Module, found int$"):
        summary(3, "B,5")  # type: ignore[arg-type]


def test_a_summary_has_the_numbers_and_is_a_table() -> None:
    found = summary(nn.Sequential(nn.Linear(4, 3)), "B,4")
    assert (found.num_params, found.macs) == (15, 12)
    assert str(found) == repr(found)
    assert str(found).splitlines()[2].split() == ["0", "Linear", "[B,", "3]", "15", "12"]
    assert 'class="network"' in found._repr_html_()
