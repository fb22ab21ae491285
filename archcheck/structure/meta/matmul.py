"""Results and multiply-adds of the operations that `torch.utils.flop_counter` has formulas for.

As in `pointwise`: each function takes the meter and then exactly what the torch function takes, adds to `meter.macs`
and returns what torch would; anything out of the ordinary is declined with NotImplemented before anything is counted.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor

from archcheck.structure.meta.tensors import (
    REFUSED,
    Shape,
    as_tuple,
    broadcast,
    is_param,
    is_plain,
    is_plain_standard,
    is_standard,
    new,
)


class Meter(Protocol):
    """Whatever adds up multiply-adds, and notes the operations whose multiply-adds are unknown."""

    macs: int
    uncounted: set[str]


# ---------------------------------------------------------------------------------------------- convolutions


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
    x = new((2, 2, 3, 3), torch.float32).to(memory_format=torch.channels_last)
    return is_standard(torch.conv2d(x, x))


def conv(
    meter: Meter,
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
    meter.macs += plan[1] * batch
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
    meter: Meter,
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
    meter.macs += prod(xs[2:]) * prod(ws) * xs[0]
    return new((xs[0], channels, *sizes), x.dtype)


# ---------------------------------------------------------------------------------------------- matrix products


def linear(meter: Meter, x: Any, weight: Any, bias: Any = None) -> Any:
    """Any batch of rows; a single vector is a matrix-vector product, which has no formula."""
    if not is_plain(x) or not is_plain(weight) or x.dtype is not weight.dtype or not is_standard(weight):
        return NotImplemented
    xs, ws = x.shape, weight.shape
    if len(xs) < 2 or len(ws) != 2 or xs[-1] != ws[1] or 0 in xs:
        return NotImplemented
    if bias is not None and (bias.shape != ws[:1] or bias.dtype is not x.dtype or not bias.is_meta):
        return NotImplemented
    shape = (*xs[:-1], ws[0])
    meter.macs += prod(shape) * ws[1]
    return new(shape, x.dtype)


def matmul(meter: Meter, x: Any, other: Any) -> Any:
    """Products of matrices or of batches of them, where the left one has the batch if only one has."""
    if not is_plain(x) or not is_plain(other) or x.dtype is not other.dtype:
        return NotImplemented
    xs, os = x.shape, other.shape
    if len(os) < 2 or len(xs) < len(os) or xs[-1] != os[-2] or 0 in xs or 0 in os:
        return NotImplemented
    if len(os) > 2 and xs[:-2] != os[:-2]:
        return NotImplemented
    shape = (*xs[:-1], os[-1])
    meter.macs += prod(shape) * xs[-1]
    return new(shape, x.dtype)


def mm(meter: Meter, x: Any, other: Any) -> Any:
    """Two matrices."""
    return matmul(meter, x, other) if x.ndim == other.ndim == 2 else NotImplemented


def bmm(meter: Meter, x: Any, other: Any) -> Any:
    """Two batches of matrices."""
    return matmul(meter, x, other) if x.ndim == other.ndim == 3 else NotImplemented


def addmm(meter: Meter, x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """A product plus something that broadcasts to it."""
    return _added(meter, x, a, b, 2) if type(beta) in (int, float) and type(alpha) in (int, float) else NotImplemented


def baddbmm(meter: Meter, x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """The same for batches."""
    return _added(meter, x, a, b, 3) if type(beta) in (int, float) and type(alpha) in (int, float) else NotImplemented


def _added(meter: Meter, x: Any, a: Any, b: Any, ndim: int) -> Any:
    if not is_plain(x) or a.ndim != ndim or b.ndim != ndim or x.dtype is not a.dtype:
        return NotImplemented
    shape = (*a.shape[:-1], b.shape[-1])
    return matmul(meter, a, b) if broadcast(shape, x.shape) == shape else NotImplemented


# ---------------------------------------------------------------------------------------------- attention


def attention(
    meter: Meter,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Any:
    """scaled_dot_product_attention: scores, and their product with the values."""
    del scale
    if dropout_p or not all(is_plain(x) and x.dtype is query.dtype for x in (query, key, value)):
        return NotImplemented
    q, k, v = query.shape, key.shape, value.shape
    if not _attention_fits(q, k, v, enable_gqa) or (is_causal and attn_mask is not None):
        return NotImplemented
    if attn_mask is not None and not _mask_fits(attn_mask, query.dtype, (*q[:-1], k[-2])):
        return NotImplemented
    meter.macs += prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
    return new((*q[:-1], v[-1]), query.dtype)


def _attention_fits(q: Shape, k: Shape, v: Shape, enable_gqa: bool) -> bool:
    if len(q) not in (3, 4) or len(k) != len(q) or k[:-1] != v[:-1] or q[-1] != k[-1] or 0 in (*q, *k, *v):
        return False
    if not enable_gqa or len(q) != 4:
        return q[:-2] == k[:-2] and not enable_gqa
    return q[0] == k[0] and q[1] % k[1] == 0


def _mask_fits(mask: Any, dtype: torch.dtype, shape: Shape) -> bool:
    if type(mask) is not Tensor or not mask.is_meta or mask.dtype not in (torch.bool, dtype):
        return False
    return mask.ndim >= 2 and broadcast(shape, mask.shape) == shape


def multi_head_attention(
    meter: Meter,
    query: Any,
    key: Any,
    value: Any,
    embed_dim: int,
    num_heads: int,
    in_weight: Any,
    in_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_weight: Any,
    out_bias: Any,
    training: bool = True,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    **unusual: Any,
) -> Any:
    """nn.MultiheadAttention's function, with one packed projection, of a batch without masks."""
    del dropout_p
    rare = (bias_k, bias_v, *unusual.values())
    if training or add_zero_attn or any(option is not None and option is not False for option in rare):
        return NotImplemented
    q, k = query.shape, key.shape
    if len(q) != 3 or k != value.shape or k[1:] != q[1:] or q[2] != embed_dim or embed_dim % num_heads or 0 in (*q, *k):
        return NotImplemented
    params: list[tuple[Any, Shape]] = [(in_weight, (3 * embed_dim, embed_dim)), (in_bias, (3 * embed_dim,))]
    params += [(out_weight, (embed_dim, embed_dim)), (out_bias, (embed_dim,))]
    if not all(is_plain(x) and x.dtype is query.dtype for x in (query, key, value)):
        return NotImplemented
    if in_weight is None or not all(is_param(param, query, *shape) for param, shape in params):
        return NotImplemented
    rows, keys = q[0] * q[1], k[0] * k[1]
    meter.macs += 2 * (rows + keys) * embed_dim * embed_dim + 2 * rows * k[0] * embed_dim
    weights = _attention_weights(q, k[0], num_heads, average_attn_weights, query.dtype) if need_weights else None
    return new(q, query.dtype), weights


def _attention_weights(q: Shape, keys: int, heads: int, averaged: bool, dtype: torch.dtype) -> Tensor:
    return new((q[1], q[0], keys) if averaged else (q[1], heads, q[0], keys), dtype)


# ---------------------------------------------------------------------------------------------- recurrent layers


def recurrent(gates: int, has_cell: bool) -> Any:
    """Of lstm (4 gates and a cell state), gru (3), rnn_tanh and rnn_relu (1), of padded sequences."""

    def handler(
        meter: Meter,
        x: Any,
        state: Any,
        params: Any,
        has_biases: bool,
        num_layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        del dropout
        states = tuple(state) if has_cell else (state,)
        if training or not all(is_plain(v) and v.dtype is x.dtype for v in (x, *states, *params)) or x.ndim != 3:
            return NotImplemented
        if not all(is_standard(v) for v in states) or 0 in x.shape:
            return NotImplemented
        steps, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
        directions = 2 if bidirectional else 1
        macs = _recurrent_macs(x.shape[2], params, has_biases, num_layers, directions, gates)
        hidden = states[0].shape[-1]
        if macs is None or any(s.shape[:2] != (num_layers * directions, batch) for s in states):
            return NotImplemented
        meter.macs += macs * steps * batch
        out = new((steps, batch, hidden * directions), x.dtype)
        finals = tuple(new(s.shape, x.dtype) for s in states)
        return (out.transpose(0, 1) if batch_first else out, *finals)

    return handler


def packed_recurrent_macs(
    gates: int,
    data: Tensor,
    batch_sizes: Tensor,
    state: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
) -> int | None:
    """Of the same layers for a packed sequence, which has a row for every step of every sequence."""
    del batch_sizes, state, dropout, training
    directions = 2 if bidirectional else 1
    macs = _recurrent_macs(data.shape[1], params, has_biases, num_layers, directions, gates)
    return None if macs is None else macs * data.shape[0]


def _recurrent_macs(width: int, params: Any, biases: bool, layers: int, directions: int, gates: int) -> int | None:
    """Multiply-adds of one step of one sequence; None where the parameters don't fit together."""
    matrices = [p.shape for p in params if p.ndim == 2]
    per_cell, rest = divmod(len(matrices), layers * directions)
    if rest or per_cell not in (2, 3) or len(params) != len(matrices) + (2 * layers * directions if biases else 0):
        return None
    macs = 0
    for layer in range(layers):
        for direction in range(directions):
            start = (layer * directions + direction) * per_cell
            w_in, w_hidden, *projection = matrices[start : start + per_cell]
            out = projection[0][0] if projection else w_in[0] // gates
            if w_in[1] != width or w_hidden != (w_in[0], out) or w_in[0] % gates:
                return None
            macs += prod(w_in) + prod(w_hidden) + sum(map(prod, projection))
        width = out * directions
    return macs
