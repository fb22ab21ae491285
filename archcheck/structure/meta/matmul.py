"""Results and multiply-adds of matrix products, from their shapes; see `ops` for what a shortcut may do."""

from __future__ import annotations

from math import prod
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.structure.meta.counting import MacCounter
from archcheck.structure.meta.tensors import (
    broadcast,
    is_plain,
    is_standard,
    new,
)

_ALIGNED: Final = 4  # numbers of float32 in 16 bytes
_LAST_TWO: Final = ((-1, -2), (-2, -1))


def linear(counter: MacCounter, x: Any, weight: Any, bias: Any = None) -> Any:
    """Any batch of rows; a single vector is left to torch, as a matrix-vector product."""
    if not is_plain(x) or not is_plain(weight) or x.dtype is not weight.dtype or not is_standard(weight):
        return NotImplemented
    xs, ws = x.shape, weight.shape
    if len(xs) < 2 or len(ws) != 2 or xs[-1] != ws[1] or 0 in xs:
        return NotImplemented
    if bias is not None and (bias.shape != ws[:1] or bias.dtype is not x.dtype or not bias.is_meta):
        return NotImplemented
    shape = (*xs[:-1], ws[0])
    counter.macs += prod(shape) * ws[1]
    return new(shape, x.dtype)


def matmul(counter: MacCounter, x: Any, other: Any) -> Any:
    """Products of matrices or of batches of them, where the left one has the batch if only one has."""
    if not is_plain(x) or not is_plain(other) or x.dtype is not other.dtype:
        return NotImplemented
    xs, os = x.shape, other.shape
    if len(os) < 2 or len(xs) < len(os) or xs[-1] != os[-2] or 0 in xs or 0 in os:
        return NotImplemented
    if len(os) > 2 and xs[:-2] != os[:-2]:
        return NotImplemented
    shape = (*xs[:-1], os[-1])
    counter.macs += prod(shape) * xs[-1]
    return new(shape, x.dtype)


def mm(counter: MacCounter, x: Any, other: Any) -> Any:
    """Two matrices."""
    return matmul(counter, x, other) if x.ndim == other.ndim == 2 else NotImplemented


def bmm(counter: MacCounter, x: Any, other: Any) -> Any:
    """Two batches of matrices."""
    return matmul(counter, x, other) if x.ndim == other.ndim == 3 else NotImplemented


def addmm(counter: MacCounter, x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """A product plus something that broadcasts to it."""
    return _added(counter, x, a, b, 2) if type(beta) in (int, float) and type(alpha) in (int, float) else NotImplemented


def baddbmm(counter: MacCounter, x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """The same for batches."""
    return _added(counter, x, a, b, 3) if type(beta) in (int, float) and type(alpha) in (int, float) else NotImplemented


def grouped_mm(
    counter: MacCounter, rows: Any, matrices: Any, *, offs: Any = None, bias: Any = None, out_dtype: Any = None
) -> Any:
    """Ranges of rows, each times a matrix of its own, in float32, of which torch refuses on meta what the CPU takes."""
    tensors = (rows, matrices)
    if not all(is_plain(one) and one.dtype is torch.float32 and _has_aligned_rows(one) for one in tensors):
        return NotImplemented
    if rows.ndim != 2 or matrices.ndim != 3 or rows.shape[1] != matrices.shape[1] or 0 in rows.shape:
        return NotImplemented
    if not isinstance(offs, Tensor) or offs.dtype is not torch.int32 or offs.shape != matrices.shape[:1]:
        return NotImplemented
    shape = (len(rows), matrices.shape[2])
    if bias is not None or out_dtype not in (None, torch.float32) or shape[1] % _ALIGNED:  # a result that is padded
        return NotImplemented
    counter.macs += prod(shape) * rows.shape[1]
    return new(shape, torch.float32)


def _has_aligned_rows(x: Tensor) -> bool:
    """Whether rows, or columns, lie 16 bytes apart, or a multiple of them, which grouped products ask for."""
    return x.ndim > 1 and any(x.stride(a) == 1 and x.stride(b) and x.stride(b) % _ALIGNED == 0 for a, b in _LAST_TWO)


def _added(counter: MacCounter, x: Any, a: Any, b: Any, ndim: int) -> Any:
    if not is_plain(x) or a.ndim != ndim or b.ndim != ndim or x.dtype is not a.dtype:
        return NotImplemented
    shape = (*a.shape[:-1], b.shape[-1])
    return matmul(counter, a, b) if broadcast(shape, x.shape) == shape else NotImplemented
