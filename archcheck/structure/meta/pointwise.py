"""Results of elementwise operations and reductions, from the shapes alone; see `ops` for what a shortcut may do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archcheck.structure.meta.tensors import (
    META,
    NUMBERS,
    REFUSED,
    Shape,
    broadcast,
    elementwise_strides,
    is_packed,
    is_param,
    is_plain,
    is_plain_standard,
    is_standard,
    new,
    new_like,
)

# ---------------------------------------------------------------------------------------------- one operand


def unary(_: Any, x: Any, *args: Any, inplace: bool = False, out: Any = None, **kwargs: Any) -> Any:
    """relu, gelu, exp, clamp and the like: numbers as options, the result laid out as the operand."""
    if out is not None or not is_plain(x):
        return NotImplemented
    for option in (*args, *kwargs.values()):
        if type(option) not in NUMBERS and option is not None and not isinstance(option, str):
            return NotImplemented
    return _written(x) if inplace else new_like(x)


def activation(_: Any, x: Any, inplace: bool = False) -> Any:
    """`unary` for the hottest ones, which take nothing but `inplace`."""
    if not is_plain(x):
        return NotImplemented
    return _written(x) if inplace else new_like(x)


def _written(x: Any) -> Any:
    return x if is_packed(x) else NotImplemented


def unary_without_options(_: Any, x: Any) -> Any:
    """`unary` for those that take nothing else."""
    return new_like(x) if is_plain(x) else NotImplemented


def unary_inplace(_: Any, x: Any) -> Any:
    """relu_, sigmoid_ and the like."""
    return _written(x) if is_plain(x) else NotImplemented


def hardtanh(_: Any, x: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: bool = False) -> Any:
    """Bounds in order, as torch wants them."""
    if type(min_val) not in NUMBERS or type(max_val) not in NUMBERS or min_val > max_val:
        return NotImplemented
    return activation(_, x, inplace)


def dropout(_: Any, x: Any, p: Any = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """In eval mode the operand itself."""
    del inplace
    if training or type(p) not in NUMBERS or not 0 <= p <= 1 or not is_plain(x):
        return NotImplemented
    return x


def softmax(_: Any, x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """Of softmax and log_softmax, over one dimension."""
    del _stacklevel
    if type(dim) is not int or dtype is not None or not is_plain_standard(x):
        return NotImplemented
    return new(x.shape, x.dtype) if -x.ndim <= dim < x.ndim else REFUSED


def prelu(_: Any, x: Any, weight: Any) -> Any:
    """One slope, or one per channel."""
    if not is_plain_standard(x) or x.ndim < 2 or not (is_param(weight, x, 1) or is_param(weight, x, x.shape[1])):
        return NotImplemented
    return new(x.shape, x.dtype) if weight is not None else NotImplemented


def roll(_: Any, x: Any, shifts: Any, dims: Any = None) -> Any:
    """Along dimensions that exist, one shift each."""
    if not is_plain_standard(x) or not isinstance(dims, tuple | list) or not isinstance(shifts, tuple | list):
        return NotImplemented
    if len(shifts) != len(dims) or not all(type(d) is int and -x.ndim <= d < x.ndim for d in dims):
        return NotImplemented
    return new(x.shape, x.dtype) if all(type(s) is int for s in shifts) else NotImplemented


def normalize(_: Any, x: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """Vectors scaled to length 1."""
    del eps
    if out is not None or type(p) not in NUMBERS or type(dim) is not int or not is_plain(x):
        return NotImplemented
    return new_like(x) if -x.ndim <= dim < x.ndim else NotImplemented


# ---------------------------------------------------------------------------------------------- two operands


def binary(_: Any, x: Any, other: Any, *, alpha: Any = 1) -> Any:
    """add, sub, mul, div."""
    return _elementwise(x, other) if type(alpha) in NUMBERS else NotImplemented


def binary_reversed(_: Any, x: Any, other: Any, *, alpha: Any = 1) -> Any:
    """rsub, and a number divided by a tensor."""
    return new_like(x) if is_plain(x) and type(other) in NUMBERS and type(alpha) in NUMBERS else NotImplemented


def compare(_: Any, x: Any, other: Any) -> Any:
    """eq, lt and the like: as `binary`, but what comes out is bool."""
    return _elementwise(x, other, torch.bool)


def binary_inplace(_: Any, x: Any, other: Any, *, alpha: Any = 1) -> Any:
    """add_, mul_ and the like, where the other operand doesn't enlarge the first."""
    if type(alpha) not in NUMBERS or not is_plain(x) or not is_packed(x):
        return NotImplemented
    if type(other) in NUMBERS:
        return x
    if not is_plain(other) or other.dtype is not x.dtype or broadcast(x.shape, other.shape) != x.shape:
        return NotImplemented
    return x


def _elementwise(x: Any, other: Any, dtype: torch.dtype | None = None) -> Any:
    if not is_plain(x):
        return NotImplemented
    if type(other) in NUMBERS:
        return new_like(x, dtype)
    if not is_plain(other) or other.dtype is not x.dtype:
        return NotImplemented
    shape = x.shape if x.shape == other.shape else broadcast(x.shape, other.shape)
    if shape is None:
        return NotImplemented
    if shape in (x.shape, other.shape) and is_standard(x) and is_standard(other):
        return new(shape, dtype or x.dtype)
    return _permuted_elementwise(x, other, shape, dtype)


def _permuted_elementwise(x: Tensor, other: Tensor, shape: Shape, dtype: torch.dtype | None) -> Any:
    """Take the layout of the first operand of full shape, where the layout of the other makes no difference."""
    if min(shape) <= 1:
        return NotImplemented
    for full, rest in ((x, other), (other, x)):
        strides = elementwise_strides(shape, full.stride()) if full.shape == shape else None
        if strides is not None and strides == full.stride():
            silent = sum(size > 1 for size in rest.shape) <= 1
            if silent or (full is x and rest.shape == shape and is_packed(rest)):
                return torch.empty_strided(shape, strides, dtype=dtype or x.dtype, device=META)
    return NotImplemented


def masked_fill(_: Any, x: Any, mask: Any, value: Any) -> Any:
    """A bool mask that doesn't enlarge the operand, and a number."""
    if not is_plain_standard(x) or type(value) not in NUMBERS or type(mask) is not Tensor:
        return NotImplemented
    if mask.dtype is not torch.bool or not mask.is_meta or not is_standard(mask):
        return NotImplemented
    if broadcast(x.shape, mask.shape) != x.shape:
        return NotImplemented
    return new(x.shape, x.dtype)


# ---------------------------------------------------------------------------------------------- several, or fewer


def cat(_: Any, tensors: Any, dim: Any = 0) -> Any:
    """Tensors that differ in the size of one dimension at most."""
    first = tensors[0]
    if type(dim) is not int or not -first.ndim <= dim < first.ndim:
        return NotImplemented
    dim %= first.ndim
    total, rest = 0, (*first.shape[:dim], *first.shape[dim + 1 :])
    for x in tensors:
        shape = x.shape
        if not is_plain_standard(x) or x.dtype is not first.dtype or (*shape[:dim], *shape[dim + 1 :]) != rest:
            return NotImplemented
        total += shape[dim]
    return new((*first.shape[:dim], total, *first.shape[dim + 1 :]), first.dtype)


def stack(_: Any, tensors: Any, dim: Any = 0) -> Any:
    """Tensors of one shape along a new dimension."""
    first = tensors[0]
    if type(dim) is not int or not -first.ndim - 1 <= dim <= first.ndim:
        return NotImplemented
    if not all(is_plain_standard(x) and x.dtype is first.dtype and x.shape == first.shape for x in tensors):
        return NotImplemented
    dim %= first.ndim + 1
    return new((*first.shape[:dim], len(tensors), *first.shape[dim:]), first.dtype)


def mean(_: Any, x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """Over one dimension, several or all."""
    if not is_plain_standard(x) or dtype is not None or out is not None:
        return NotImplemented
    dims = range(x.ndim) if dim is None else (dim,) if type(dim) is int else dim
    if not all(type(d) is int and -x.ndim <= d < x.ndim for d in dims) or not dims:
        return NotImplemented
    gone = {d % x.ndim for d in dims}
    if len(gone) != len(dims):
        return NotImplemented
    sizes = enumerate(x.shape)
    return new(tuple(1 if d in gone else size for d, size in sizes if keepdim or d not in gone), x.dtype)
