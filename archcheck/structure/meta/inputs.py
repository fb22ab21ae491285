"""Making the arguments of a forward pass from their descriptions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.spec.tree import map_leaves


def make_inputs(item: ForwardInput, device: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments: without values on meta, with reproducible ones on the CPU."""
    if device != "meta":
        torch.default_generator.manual_seed(0)
    args, kwargs = map_leaves(lambda value: _make_tensor(value, device), (list(item.args), item.kwargs))
    return args, kwargs


def _make_tensor(value: TensorInput, device: str) -> Tensor:
    dtype: torch.dtype = getattr(torch, value.dtype)
    if device == "meta":
        return torch.empty(value.shape, dtype=dtype, device="meta")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(value.shape, device=device).to(dtype)
    if value.below is None:
        return torch.zeros(value.shape, dtype=dtype, device=device)
    return torch.randint(0, value.below, value.shape, device=device).to(dtype)
