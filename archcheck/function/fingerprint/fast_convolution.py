"""Convolutions in double precision, which torch computes slowly on a CPU if there are many groups or large images.

Groups are computed one after the other, some 20 µs for each channel of a depthwise layer, however small the image. If
images are small, one product of all groups at once takes a fraction of it.

Large images are unfolded, each number as often as the kernel is large: in a layer of few channels this takes longer
than the products. A product for each place of the kernel, with the image moved to it, needs the image itself only.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Parameter, functional

_MOST_COLUMNS: Final = 3_000  # numbers to be multiplied in each group: with more, the loop over them is no loss
_LEAST_PIXELS: Final = 3_000  # of an image that comes out: with fewer, they are in the processor's cache when unfolded
_CHANNELS: Final = range(16, 513)  # fewer make each product too small; with more, unfolding is the smaller part


def conv2d(
    input: Tensor,  # noqa: A002 - torch's name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv2d`, up to rounding, and as differentiable."""
    is_plain = groups == 1 and not isinstance(padding, str) and _pair(stride) == _pair(dilation) == (1, 1)
    if is_plain and _is_better_moved(input, weight, bias, _pair(padding)):
        return _by_moved_images(input, weight, bias, _pair(padding))
    if not (_is_slow(input, groups) and input.ndim == 4 and not isinstance(padding, str)):
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    sides = [
        (size + 2 * pad - gap * (width - 1) - 1) // step + 1
        for size, width, step, pad, gap in zip(
            input.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
        )
    ]
    num_columns = weight[0].numel() * len(input) * sides[0] * sides[1]
    if not 0 < num_columns <= _MOST_COLUMNS:
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    columns = functional.unfold(input, weight.shape[2:], dilation, padding, stride)
    products = weight.reshape(groups, len(weight) // groups, -1) @ columns.view(
        len(input), groups, -1, sides[0] * sides[1]
    )
    out = products.view(len(input), len(weight), *sides)
    return out if bias is None else out + bias.view(-1, 1, 1)


def _is_better_moved(data: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> bool:
    """Return whether a convolution is one of large images that needs no gradients."""
    tensors = [data, weight, *([] if bias is None else [bias])]
    if data.ndim != 4 or weight.ndim != 4 or weight.shape[2:].numel() == 1 or data.shape[1] != weight.shape[1]:
        return False
    if not all(type(one) in (Tensor, Parameter) and one.dtype is torch.float64 for one in tensors):
        return False
    if data.device.type != "cpu" or torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    if torch.is_grad_enabled() and any(one.requires_grad for one in tensors):
        return False
    height, width = _sides_by_moving(data, weight, padding)
    return min(height, width) > 0 and height * width >= _LEAST_PIXELS and data.shape[1] in _CHANNELS


def _sides_by_moving(data: Tensor, weight: Tensor, padding: tuple[int, int]) -> tuple[int, int]:
    high, wide = (
        size + 2 * pad - kernel + 1 for size, pad, kernel in zip(data.shape[2:], padding, weight.shape[2:], strict=True)
    )
    return high, wide


def _by_moved_images(data: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """Add up the products for all places of the kernel: the padded image as one row, from another pixel on for each."""
    height, width = _sides_by_moving(data, weight, padding)
    padded = functional.pad(data, (padding[1], padding[1], padding[0], padding[0]))  # (B, C, H', W')
    row = padded.shape[3]
    length = height * row - (weight.shape[3] - 1)  # up to the last pixel that comes out
    out = data.new_empty(len(data), len(weight), height * row)  # with what lies between two rows, which is cut off
    if bias is None:
        out.zero_()
    else:
        out.copy_(bias.view(1, -1, 1).expand_as(out))
    kernels = weight.permute(2, 3, 0, 1).contiguous()  # (kh, kw, O, C)
    for image, result in zip(padded.flatten(2), out, strict=True):
        for down, kernels_of_row in enumerate(kernels):
            for right, kernel in enumerate(kernels_of_row):
                result[:, :length].addmm_(kernel, image.narrow(1, down * row + right, length))
    return out.view(*out.shape[:2], height, row)[..., :width].contiguous()


def conv1d(
    input: Tensor,  # noqa: A002 - torch's name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv1d`, up to rounding, and as differentiable."""
    if not (_is_slow(input, groups) and input.ndim == 3 and not isinstance(padding, str)):
        return functional.conv1d(input, weight, bias, stride, padding, dilation, groups)
    stride, padding, dilation = (1, _single(stride)), (0, _single(padding)), (1, _single(dilation))
    return conv2d(input.unsqueeze(2), weight.unsqueeze(2), bias, stride, padding, dilation, groups).squeeze(2)


def _is_slow(data: Tensor, groups: int) -> bool:
    return groups > 1 and data.device.type == "cpu" and data.dtype is torch.float64


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _single(value: Any) -> int:
    return int(value if isinstance(value, int) else value[0])
