"""Calls of torch's functions, held against the ordinary meta forward in every layout of their first operand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from archcheck.structure.meta.forward_modes import ForwardMode
from tests.unit.structure.plain_meta import plain_call

Layout = Callable[[Tensor], Tensor]
Call = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]


class MacCounter:
    macs = 0

    def __init__(self) -> None:
        self.uncounted: set[str] = set()


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def described(value: Any) -> list[Any]:
    return [(tuple(x.shape), x.stride(), x.dtype) if isinstance(x, Tensor) else x for x in tree_leaves(value)]


def standard(x: Tensor) -> Tensor:
    return x


def permuted(x: Tensor) -> Tensor:
    return torch.empty_like(x.transpose(0, -1).contiguous()).transpose(0, -1) if x.ndim > 1 else x


def gapped(x: Tensor) -> Tensor:
    return torch.cat([x, x], -1).narrow(-1, 0, x.shape[-1]) if x.ndim else x


def expanded(x: Tensor) -> Tensor:
    return x.narrow(0, 0, 1).expand(x.shape) if x.ndim else x


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


LAYOUTS = (standard, permuted, gapped, expanded, channels_last)

IMAGE = (2, 6, 8, 8)
ROWS = (3, 5, 6)

in_every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)


def assert_call_equals_plain_meta(call: Call, layout: Layout) -> None:
    """Check shape, dtype, strides and multiply-adds of a call, or that both refuse it."""
    function, shapes = call
    first, *others = (meta(*shape) for shape in shapes)
    counter = MacCounter()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # grid_sample's, about align_corners
        try:
            expected, macs = plain_call(function, layout(first), *others)
        except RuntimeError:
            with pytest.raises(RuntimeError, match=r"\S"), ForwardMode(counter), torch.no_grad():
                function(layout(first), *others)
            return
        with ForwardMode(counter), torch.no_grad():
            out = function(layout(first), *others)

    assert described(out) == described(expected)
    assert counter.macs == macs
