"""Results of pooling and resizing, from the shapes alone; see `ops` for what a shortcut may do."""

from __future__ import annotations

from math import floor
from typing import Any

import torch

from archcheck.structure.meta.tensors import (
    NUMBERS,
    Shape,
    as_tuple,
    is_plain_standard,
    new,
)


def _pooled(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    # the last window has to start inside the input or its left padding
    return out - 1 if ceil_mode and (out - 1) * stride >= size + padding else out


def _pool(x: Any, n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any) -> Shape | None:
    """Return the shape that a sliding window of `n` dimensions leaves of a batch; None for what torch might refuse."""
    if not is_plain_standard(x) or x.ndim != n + 2:
        return None
    no_stride = stride is None or stride == []
    kernels, strides = as_tuple(kernel, n), as_tuple(kernel if no_stride else stride, n)
    paddings, dilations = as_tuple(padding, n), as_tuple(dilation, n)
    if kernels is None or strides is None or paddings is None or dilations is None:
        return None
    out = list(x.shape[:2])
    for size, k, s, p, d in zip(x.shape[2:], kernels, strides, paddings, dilations, strict=True):
        if k < 1 or s < 1 or d < 1 or not 0 <= 2 * p <= k or size < k:
            return None
        out.append(_pooled(size, k, s, p, d, bool(ceil_mode)))
    return tuple(out) if min(out) >= 1 else None


def avg_pool(n: int) -> Any:
    """avg_pool1d, 2d, 3d."""

    def handler(
        _: Any,
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: Any = False,
        count_include_pad: bool = True,
        divisor_override: Any = None,
    ) -> Any:
        del count_include_pad
        shape = _pool(x, n, kernel_size, stride, padding, 1, ceil_mode) if divisor_override is None else None
        return NotImplemented if shape is None else new(shape, x.dtype)

    return handler


def max_pool(n: int, indices: bool) -> Any:
    """max_pool1d, 2d, 3d, and the forms that return where the maxima are."""

    def handler(
        _: Any,
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: Any = False,
        return_indices: bool = indices,
    ) -> Any:
        shape = _pool(x, n, kernel_size, stride, padding, dilation, ceil_mode)
        if shape is None or return_indices is not indices:
            return NotImplemented
        return (new(shape, x.dtype), new(shape, torch.int64)) if indices else new(shape, x.dtype)

    return handler


def adaptive_avg_pool2d(_: Any, x: Any, output_size: Any) -> Any:
    """To a fixed size; None keeps a dimension's."""
    if not is_plain_standard(x) or x.ndim != 4:
        return NotImplemented
    sizes = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    if len(sizes) != 2:
        return NotImplemented
    sizes = tuple(own if size is None else size for size, own in zip(sizes, x.shape[2:], strict=True))
    if not all(type(size) is int and size > 0 for size in sizes):
        return NotImplemented
    return new((*x.shape[:2], *sizes), x.dtype)


def interpolate(
    _: Any,
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> Any:
    """Images to a size, or by a factor."""
    if mode not in ("bilinear", "bicubic", "nearest") or (mode == "nearest" and align_corners is not None):
        return NotImplemented
    if recompute_scale_factor or antialias or not is_plain_standard(x) or x.ndim != 4:
        return NotImplemented
    sizes = _resized(x.shape[2:], size, scale_factor)
    return NotImplemented if sizes is None else new((*x.shape[:2], *sizes), x.dtype)


def _resized(sizes: Shape, size: Any, scale_factor: Any) -> Shape | None:
    if (size is None) == (scale_factor is None):
        return None
    if size is not None:
        out = as_tuple(size, 2)
    else:
        factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
        if len(factors) != 2 or not all(type(f) in NUMBERS for f in factors):
            return None
        out = tuple(floor(s * f) for s, f in zip(sizes, factors, strict=True))
    return out if out is not None and min(out) >= 1 else None
