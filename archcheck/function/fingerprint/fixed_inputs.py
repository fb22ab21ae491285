"""The fixed inputs that a network gets while its fingerprint is taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import torch
from torch import Tensor

from archcheck.function.fingerprint.digests import tensors_in
from archcheck.function.fingerprint.number_pool import uniform
from archcheck.network.arguments import has_domain, make_arguments, values_in_domain
from archcheck.spec.inputs import ForwardInput, TensorInput


def make_fixed_inputs(
    inputs: ForwardInput, dtype: torch.dtype, device: torch.device
) -> tuple[list[Any], dict[str, Any]]:
    """Make the arguments of a forward pass: uniform noise of variance 1, or values in the domain of an input."""
    number = count()

    def make(value: TensorInput) -> Tensor:
        return _fixed_tensor(value, f"input {next(number)}", dtype, device)

    def convert(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(device, torch.complex128)
        return tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)

    return make_arguments(inputs, make, convert)


def _fixed_tensor(value: TensorInput, key: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    noise = uniform(value.shape, key, device)
    wanted: torch.dtype = getattr(torch, value.dtype)
    if wanted.is_complex:
        return torch.complex(noise, noise.flip(-1)).to(torch.complex128)
    if has_domain(value):
        return values_in_domain(value, noise).to(dtype if wanted.is_floating_point else wanted)
    if wanted.is_floating_point:
        return (noise * 3**0.5).to(dtype)
    return torch.zeros(value.shape, dtype=wanted, device=device)


def named_tensors(args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors among a forward's arguments by position, from 1, or keyword."""
    for name, value in [*enumerate(args, 1), *kwargs.items()]:
        for position, one in enumerate(tensors_in(value)):
            yield (f"{name}[{position}]" if position else f"{name}"), one
