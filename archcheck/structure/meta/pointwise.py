"""Results of operations that multiply no matrices, computed from the shapes alone.

Every function here takes the meter and then exactly what the torch function takes, and returns what torch would return
on the meta device: same shape, dtype and strides. Anything out of the ordinary (an odd layout, another dtype, a keyword
that is rarely used, arguments that torch would refuse) is declined with NotImplemented, and torch itself takes over.
"""

from __future__ import annotations

from math import floor, prod
from typing import Any

import torch
from torch import Tensor

from archcheck.structure.meta.tensors import (
    META,
    NUMBERS,
    REFUSED,
    Shape,
    as_tuple,
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


def bare(_: Any, x: Any) -> Any:
    """`unary` for those that take nothing else."""
    return new_like(x) if is_plain(x) else NotImplemented


def bare_inplace(_: Any, x: Any) -> Any:
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
    """The first operand of full shape decides the layout, as long as the other has nothing to say in it."""
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


# ---------------------------------------------------------------------------------------------- normalisation


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


# ---------------------------------------------------------------------------------------------- pools and resizing


def _pooled(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    # the last window has to start inside the input or its left padding
    return out - 1 if ceil_mode and (out - 1) * stride >= size + padding else out


def _pool(x: Any, n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any) -> Shape | None:
    """The shape that a sliding window of `n` dimensions leaves of a batch; None for anything torch might refuse."""
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
