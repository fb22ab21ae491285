"""Whole layers at once: the hottest ones of `torch.nn`, without the calls between a module and its operation.

A layer is found by its exact type, so that a subclass, a parametrized or a quantized layer runs its own forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from torch import nn

from archcheck.structure.meta import convolution, matmul, normalization, pointwise, pooling


def _conv(counter: Any, m: Any, x: Any) -> Any:
    if m.padding_mode != "zeros":
        return NotImplemented
    params = m._parameters
    return convolution.conv(counter, x, params["weight"], params["bias"], m.stride, m.padding, m.dilation, m.groups)


def _linear(counter: Any, m: Any, x: Any) -> Any:
    params = m._parameters
    return matmul.linear(counter, x, params["weight"], params["bias"])


def _batch_norm(ndims: tuple[int, ...]) -> Any:
    def shortcut(counter: Any, m: Any, x: Any) -> Any:
        params, buffers = m._parameters, m._buffers
        if m.training or x.ndim not in ndims:
            return NotImplemented
        statistics = buffers["running_mean"], buffers["running_var"]
        return normalization.batch_norm(counter, x, *statistics, params["weight"], params["bias"], eps=m.eps)

    return shortcut


def _layer_norm(counter: Any, m: Any, x: Any) -> Any:
    params = m._parameters
    return normalization.layer_norm(counter, x, m.normalized_shape, params["weight"], params["bias"])


def _inplace_activation(counter: Any, m: Any, x: Any) -> Any:
    return pointwise.activation(counter, x, m.inplace)


def _activation(counter: Any, _: Any, x: Any) -> Any:
    return pointwise.unary_without_options(counter, x)


def _dropout(counter: Any, m: Any, x: Any) -> Any:
    return pointwise.dropout(counter, x, m.p, m.training)


def _identity(_: Any, __: Any, x: Any) -> Any:
    return x


def _adaptive_avg_pool2d(counter: Any, m: Any, x: Any) -> Any:
    return pooling.adaptive_avg_pool2d(counter, x, m.output_size)


SHORTCUTS: Final[Mapping[type, Callable[..., Any]]] = MappingProxyType(
    {
        nn.Conv1d: _conv,
        nn.Conv2d: _conv,
        nn.Conv3d: _conv,
        nn.Linear: _linear,
        nn.BatchNorm1d: _batch_norm((2, 3)),
        nn.BatchNorm2d: _batch_norm((4,)),
        nn.BatchNorm3d: _batch_norm((5,)),
        nn.LayerNorm: _layer_norm,
        nn.ReLU: _inplace_activation,
        nn.ReLU6: _inplace_activation,
        nn.SiLU: _inplace_activation,
        nn.Hardswish: _inplace_activation,
        nn.Hardsigmoid: _inplace_activation,
        nn.GELU: _activation,
        nn.Sigmoid: _activation,
        nn.Tanh: _activation,
        nn.Dropout: _dropout,
        nn.Identity: _identity,
        nn.AdaptiveAvgPool2d: _adaptive_avg_pool2d,
    }
)
