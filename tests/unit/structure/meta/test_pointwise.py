"""Elementwise operations and reductions: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.unit.structure.meta.calls import IMAGE, ROWS, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "relu": (F.relu, (IMAGE,)),
    "relu in place": (lambda x: F.relu(x, inplace=True), (IMAGE,)),
    "sigmoid": (torch.sigmoid, (ROWS,)),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), (ROWS,)),
    "silu": (F.silu, (IMAGE,)),
    "hardswish": (F.hardswish, (IMAGE,)),
    "hardtanh": (F.hardtanh, (IMAGE,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), (IMAGE,)),
    "elu": (F.elu, (IMAGE,)),
    "softplus": (F.softplus, (IMAGE,)),
    "prelu": (F.prelu, (IMAGE, (6,))),
    "clamp": (lambda x: x.clamp(min=0.0), (ROWS,)),
    "power": (lambda x: x**2, (ROWS,)),
    "softmax": (lambda x: x.softmax(-1), (ROWS,)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (ROWS,)),
    "dropout": (lambda x: F.dropout(x, training=False), (ROWS,)),
    "normalize": (lambda x: F.normalize(x, dim=-1), (ROWS,)),
    "roll": (lambda x: torch.roll(x, (1, 2), (1, 2)), (IMAGE,)),
    "add": (torch.add, (IMAGE, IMAGE)),
    "subtract from a number": (lambda x: 1 - x, (IMAGE,)),
    "divide a number": (lambda x: 1 / x, (IMAGE,)),
    "broadcast": (torch.mul, (IMAGE, (6, 1, 1))),
    "broadcast first": (torch.mul, ((6, 1, 1), IMAGE)),
    "broadcast both": (torch.sub, ((2, 1, 5), (4, 1))),
    "add in place": (lambda x, y: x.add_(y), (ROWS, (6,))),
    "compare": (lambda x, y: x > y, (ROWS, ROWS)),
    "masked_fill": (lambda x, y: x.masked_fill(y > 0, 0.0), (ROWS, (5, 6))),
    "cat": (lambda x, y: torch.cat([x, y], 1), ((2, 3, 4), (2, 5, 4))),
    "stack": (lambda x, y: torch.stack([x, y], -1), (ROWS, ROWS)),
    "mean": (lambda x: x.mean((2, 3), keepdim=True), (IMAGE,)),
    "mean of all": (torch.mean, (ROWS,)),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
