"""Results of normalisation layers, from the shapes alone; see `ops` for what a shortcut may do."""

from __future__ import annotations

from math import prod
from typing import Any

from archcheck.structure.meta.tensors import (
    is_param,
    is_plain,
    is_plain_standard,
    is_standard,
    new,
)


def batch_norm(
    _: Any,
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """With running statistics, as in eval mode; or without any, as in weight standardisation."""
    del momentum
    if eps <= 0 or not is_plain_standard(x) or x.ndim < 2:
        return NotImplemented
    shape = (x.shape[1],)
    if training:
        if running_mean is not None or running_var is not None or x.numel() == x.shape[1]:
            return NotImplemented
    elif running_mean is None or running_var is None:
        return NotImplemented
    for param in (running_mean, running_var, weight, bias):
        if param is not None and not (param.shape == shape and param.is_meta and param.dtype is x.dtype):
            return NotImplemented
    return new(x.shape, x.dtype)


def layer_norm(_: Any, x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Over the last dimensions."""
    del eps
    shape = tuple(normalized_shape)
    if not is_plain(x) or not shape or x.shape[-len(shape) :] != shape or 0 in x.shape:
        return NotImplemented
    if not is_param(weight, x, *shape) or not is_param(bias, x, *shape):
        return NotImplemented
    if x.is_contiguous() and not is_standard(x):
        return NotImplemented
    return new(x.shape, x.dtype)  # whatever the layout of x: torch packs it first


def rms_norm(_: Any, x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """As `layer_norm`, without a bias."""
    del eps
    return layer_norm(_, x, normalized_shape, weight) if is_plain_standard(x) else NotImplemented


def group_norm(_: Any, x: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Over groups of channels."""
    del eps
    if not is_plain_standard(x) or type(num_groups) is not int or num_groups < 1 or x.ndim < 3:
        return NotImplemented
    channels = x.shape[1]
    if channels % num_groups or not is_param(weight, x, channels) or not is_param(bias, x, channels):
        return NotImplemented
    # torch wants more than one value per group
    return new(x.shape, x.dtype) if x.shape[0] * prod(x.shape[1:]) // num_groups > 1 else NotImplemented
