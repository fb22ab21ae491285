"""Results and multiply-adds of attention, from its shapes; see `ops` for what a shortcut may do."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from archcheck.structure.meta.counting import MacCounter
from archcheck.structure.meta.tensors import (
    Shape,
    broadcast,
    is_param,
    is_plain,
    new,
)


def attention(
    counter: MacCounter,
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
    counter.macs += prod(q[:-1]) * k[-2] * (q[-1] + v[-1])
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
    counter: MacCounter,
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
    counter.macs += 2 * (rows + keys) * embed_dim * embed_dim + 2 * rows * k[0] * embed_dim
    if not need_weights:
        return new(q, query.dtype), None
    heads = () if average_attn_weights else (num_heads,)
    return new(q, query.dtype), new((q[1], *heads, q[0], k[0]), query.dtype)
