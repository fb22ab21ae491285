"""Questions about meta tensors, and making them, thousands of times per trace: each one has to be cheap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import Parameter

Shape: TypeAlias = tuple[int, ...]

META: Final = torch.device("meta")
FLOATS: Final = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
NUMBERS: Final = frozenset({int, float})
PLAIN_TYPES: Final = frozenset({Tensor, Parameter})
REFUSED: Final = object()
"""Returned by a shortcut for shapes that torch refuses of real tensors, though not always on meta."""


@lru_cache(maxsize=8192)
def standard_strides(shape: Shape) -> Shape | None:
    """Return the strides of a freshly made tensor; None where a size is 0, which no shortcut handles."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides)) if step else None


@lru_cache(maxsize=8192)
def elementwise_strides(shape: Shape, strides: Shape) -> Shape | None:
    """Return the strides of an elementwise operation's result on such a tensor: packed, dimensions in the same order.

    None where the order is not plain to see: equal strides, or sizes of 1, whose strides say nothing.
    """
    if strides == standard_strides(shape):
        return strides
    if min(shape) <= 1 or len(set(strides)) < len(strides) or min(strides) < 1:
        return None
    out, step = [0] * len(shape), 1
    for dim in sorted(range(len(shape)), key=strides.__getitem__):
        out[dim] = step
        step *= shape[dim]
    return tuple(out)


def is_plain(x: Any) -> bool:
    """Whether something is an ordinary floating-point meta tensor, the only kind that shortcuts handle."""
    return type(x) in PLAIN_TYPES and x.is_meta and x.dtype in FLOATS


def is_standard(x: Tensor) -> bool:
    """Whether a tensor is laid out as a freshly made one, in every dimension."""
    return x.stride() == standard_strides(x.shape)


def is_plain_standard(x: Any) -> bool:
    """Whether something is plain and standard at once: the operand that most shortcuts ask for."""
    return type(x) in PLAIN_TYPES and x.is_meta and x.dtype in FLOATS and x.stride() == standard_strides(x.shape)


def is_param(x: Any, like: Tensor, *shape: int) -> bool:
    """Whether a bias or a scale fits: None, or a plain tensor of `like`'s dtype and exactly this shape."""
    return x is None or (is_plain_standard(x) and x.dtype is like.dtype and x.shape == shape)


def new(shape: Shape, dtype: torch.dtype) -> Tensor:
    """Make a meta tensor in standard layout."""
    strides = standard_strides(shape)
    assert strides is not None
    return torch.empty_strided(shape, strides, dtype=dtype, device=META)


def new_like(x: Tensor, dtype: torch.dtype | None = None) -> Any:
    """Make the result of an elementwise operation on `x` alone; NotImplemented for layouts that aren't plain to see."""
    strides = elementwise_strides(x.shape, x.stride())
    if strides is None:
        return NotImplemented
    return torch.empty_strided(x.shape, strides, dtype=dtype or x.dtype, device=META)


def is_packed(x: Tensor) -> bool:
    """Whether every element has a place of its own, without gaps: safe to write to."""
    strides = x.stride()
    return strides == elementwise_strides(x.shape, strides)


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """Return the common shape of two operands; None where they have none."""
    if len(a) < len(b):
        a, b = b, a
    out = list(a)
    for i, size in enumerate(b, len(a) - len(b)):
        if out[i] == 1:
            out[i] = size
        elif size not in (1, out[i]):
            return None
    return tuple(out)


def as_tuple(value: Any, length: int) -> Shape | None:
    """Return an int, or a sequence of ints of that length (or of one), as a tuple of `length` ints; else None."""
    if type(value) is tuple and len(value) == length:
        return value
    if type(value) is int:
        return (value,) * length
    if not isinstance(value, Sequence) or not all(type(item) is int for item in value):
        return None
    if len(value) == 1:
        return tuple(value) * length
    return tuple(value) if len(value) == length else None


def is_transformed() -> bool:
    """Whether this runs inside vmap, grad and the like, where a tensor's shape isn't what it seems."""
    return torch._C._functorch.peek_interpreter_stack() is not None
