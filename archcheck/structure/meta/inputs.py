"""The arguments of a forward pass, made from their descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archcheck.spec.inputs import ForwardInput, InputValue, TensorInput


def make_inputs(item: ForwardInput, device: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments: without values on meta, with reproducible ones on the CPU."""
    if device != "meta":
        torch.default_generator.manual_seed(0)
    return [_value(arg, device) for arg in item.args], {key: _value(arg, device) for key, arg in item.kwargs.items()}


def _value(value: InputValue, device: str) -> Any:
    if isinstance(value, TensorInput):
        return _tensor(value, device)
    if isinstance(value, Mapping):
        return {key: _value(item, device) for key, item in value.items()}
    return type(value)(_value(item, device) for item in value)  # type: ignore[call-arg]


def _tensor(value: TensorInput, device: str) -> Tensor:
    dtype: torch.dtype = getattr(torch, value.dtype)
    if device == "meta":
        return torch.empty(value.shape, dtype=dtype, device="meta")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(value.shape, device=device).to(dtype)
    if value.below is None:
        return torch.zeros(value.shape, dtype=dtype, device=device)
    return torch.randint(0, value.below, value.shape, device=device).to(dtype)
