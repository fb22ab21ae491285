"""Results and multiply-adds of convolutions, from their shapes; see `ops` for what a shortcut may do."""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import Any

import torch

from archcheck.structure.meta.counting import MacCounter
from archcheck.structure.meta.tensors import (
    REFUSED,
    Shape,
    as_tuple,
    is_param,
    is_plain,
    is_plain_standard,
    is_standard,
    new,
)


@lru_cache(maxsize=4096)
def _conv_plan(
    sizes: Shape, weight: Shape, stride: Any, padding: Any, dilation: Any
) -> tuple[tuple[int, ...], int] | None:
    """Shape and multiply-adds of what one example gives; None for what torch might refuse."""
    n = len(weight) - 2
    strides, dilations = as_tuple(stride, n), as_tuple(dilation, n)
    if padding == "same":  # with a stride torch refuses it
        return ((weight[0], *sizes), prod(sizes) * prod(weight)) if strides == (1,) * n else None
    paddings = as_tuple(0 if padding == "valid" else padding, n)
    if strides is None or dilations is None or paddings is None:
        return None
    if min(strides) < 1 or min(paddings) < 0 or min(dilations) < 1:
        return None
    windows = zip(sizes, weight[2:], strides, paddings, dilations, strict=True)
    out = tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in windows)
    return ((weight[0], *out), prod(out) * prod(weight)) if min(out) >= 1 else None


@cache
def _conv_forgets_layout() -> bool:
    """Whether this torch's convolutions return the standard layout on meta, whatever that of their input."""
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():  # whoever counts must not count this
        x = new((2, 2, 3, 3), torch.float32).to(memory_format=torch.channels_last)
        return is_standard(torch.conv2d(x, x))


def conv(
    counter: MacCounter,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
) -> Any:
    """conv1d, conv2d, conv3d of a batch."""
    dtype = x.dtype
    if not (is_plain(x) and is_plain_standard(weight)) or dtype is not weight.dtype:
        return NotImplemented
    if not is_standard(x) and not _conv_forgets_layout():
        return NotImplemented
    xs, ws = x.shape, weight.shape
    if len(xs) != len(ws) or len(ws) < 3 or 0 in xs:
        return NotImplemented
    if xs[1] != ws[1] * groups or ws[0] % groups or (bias is not None and bias.shape != ws[:1]):
        return REFUSED
    if bias is not None and (bias.dtype is not dtype or not bias.is_meta):
        return NotImplemented
    plan = _conv_plan(xs[2:], ws, stride, padding, dilation)
    if plan is None:
        return NotImplemented
    batch = xs[0]
    counter.macs += plan[1] * batch
    return new((batch, *plan[0]), dtype)


def _transposed_sizes(sizes: Shape, kernel: Shape, *options: Any) -> Shape | None:
    tuples = [as_tuple(option, len(sizes)) for option in options]
    out = []
    for size, k, *values in zip(sizes, kernel, *(t for t in tuples if t is not None), strict=True):
        if len(values) != 4:
            return None
        s, p, o, d = values
        if s < 1 or p < 0 or d < 1 or not 0 <= o < max(s, d):
            return None
        out.append((size - 1) * s - 2 * p + d * (k - 1) + o + 1)
    return tuple(out) if min(out) >= 1 else None


def conv_transpose(
    counter: MacCounter,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Any:
    """conv_transpose1d, 2d, 3d of a batch: each input element meets each weight once."""
    if not (is_plain_standard(x) and is_plain_standard(weight)) or x.dtype is not weight.dtype:
        return NotImplemented
    xs, ws = x.shape, weight.shape
    if len(xs) != len(ws) or len(ws) < 3:
        return NotImplemented
    channels = ws[1] * groups
    if xs[1] != ws[0] or ws[0] % groups or (bias is not None and bias.shape != (channels,)):
        return REFUSED
    sizes = _transposed_sizes(xs[2:], ws[2:], stride, padding, output_padding, dilation)
    if sizes is None or not is_param(bias, x, channels):
        return NotImplemented
    counter.macs += prod(xs[2:]) * prod(ws) * xs[0]
    return new((xs[0], channels, *sizes), x.dtype)
