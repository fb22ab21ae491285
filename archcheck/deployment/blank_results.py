"""What comes out of common operations on meta, without torch's own way to find that out.

That is written in Python for these: it takes most of a forward's time, and imports what takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

_ACTIVATIONS: Final = (
    "relu", "sigmoid", "tanh", "silu", "gelu", "hardtanh", "hardswish", "hardsigmoid", "leaky_relu", "elu", "mish",
)  # fmt: skip


def _batch_norm(x: Tensor, *_: Any) -> Any:
    return torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


def _layer_norm(x: Tensor, shape: Any, *_: Any) -> Any:
    sizes = [*x.shape[: x.ndim - len(shape)], *(1 for _ in shape)]
    return torch.empty_like(x, memory_format=torch.contiguous_format), x.new_empty(sizes), x.new_empty(sizes)


def _softmax(x: Tensor, _: int, half_to_float: bool) -> Any:
    if half_to_float:
        return NotImplemented
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _pointwise(x: Tensor, *_: Any) -> Any:
    return torch.empty_like(x) if x.is_floating_point() else NotImplemented


def _addmm(_: Tensor, a: Tensor, b: Tensor) -> Any:
    return a.new_empty(a.shape[0], b.shape[1]) if a.dtype == b.dtype else NotImplemented


def _in_place(x: Tensor, *_: Any) -> Tensor:
    return x


@cache
def blank_results() -> Mapping[Any, Callable[..., Any]]:
    """Return by operation what computes its results on meta, or NotImplemented, of all positional arguments."""
    aten = torch.ops.aten
    found: dict[Any, Callable[..., Any]] = {
        aten.native_batch_norm.default: _batch_norm,
        aten.native_layer_norm.default: _layer_norm,
        aten._softmax.default: _softmax,
        aten.addmm.default: _addmm,
    }
    for name in _ACTIVATIONS:
        found[getattr(aten, name).default] = _pointwise
        found[getattr(aten, f"{name}_").default] = _in_place
    return MappingProxyType(found)
