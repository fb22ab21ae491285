"""Making the arguments of a forward pass from their descriptions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from archcheck.network.arguments import has_domain, make_arguments, values_in_domain
from archcheck.spec.inputs import ForwardInput, TensorInput


def make_inputs(item: ForwardInput, device: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments: without values on meta, with reproducible ones on the CPU."""
    if device != "meta":
        torch.default_generator.manual_seed(0)
    return make_arguments(item, partial(_make_tensor, device=device), partial(_moved, device, item.precision))


def _moved(device: str, precision: str, tensor: Tensor) -> Tensor:
    moved = tensor.to(device)
    return moved.to(getattr(torch, precision)) if moved.dtype is torch.float32 else moved


def _make_tensor(value: TensorInput, device: str) -> Tensor:
    dtype: torch.dtype = getattr(torch, value.dtype)
    if device == "meta":
        return torch.empty(value.shape, dtype=dtype, device="meta")
    if has_domain(value):
        return values_in_domain(value, torch.rand(value.shape, device=device) * 2 - 1).to(dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(value.shape, device=device).to(dtype)
    return torch.zeros(value.shape, dtype=dtype, device=device)
