"""Convolutions of many groups in double precision, which torch computes group by group on a CPU.

That's some 20 µs for each channel of a depthwise layer, however small the image. Where images are small, one product
of all groups at once takes a fraction of it.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

_MOST_COLUMNS: Final = 3_000  # numbers to be multiplied in each group: with more, the loop over them is no loss


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
