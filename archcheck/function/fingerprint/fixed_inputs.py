"""The fixed inputs that a network gets while its fingerprint is taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.function.fingerprint.digests import tensors_in
from archcheck.function.fingerprint.number_pool import uniform
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.spec.tree import map_leaves

_MIN_ROW_LENGTH: Final = 3


def make_fixed_inputs(
    inputs: ForwardInput, dtype: torch.dtype, device: torch.device
) -> tuple[list[Any], dict[str, Any]]:
    """Make the arguments of a forward pass: uniform noise of variance 1, integers below their bound."""
    number = count()
    args, kwargs = map_leaves(
        lambda value: _fixed_tensor(value, f"input {next(number)}", dtype, device), (list(inputs.args), inputs.kwargs)
    )
    return args, kwargs


def _fixed_tensor(value: TensorInput, key: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    noise = uniform(value.shape, key, device)
    wanted: torch.dtype = getattr(torch, value.dtype)
    if wanted.is_complex:
        return torch.complex(noise, noise.flip(-1)).to(torch.complex128)
    if wanted.is_floating_point:
        return (noise * 3**0.5).to(dtype)
    if wanted is torch.bool or value.below is not None:
        below = 2 if value.below is None else value.below
        return _with_edge_values(((noise + 1) / 2 * below).floor().clamp_(max=below - 1), below).to(wanted)
    return torch.zeros(value.shape, dtype=wanted, device=device)


def _with_edge_values(numbers: Tensor, below: int) -> Tensor:
    """Put in integers that often have a meaning: 0 at the ends of rows, as padding is, 1, and the largest.

    No row is constant: a mask that leaves nothing gives no number.
    """
    rows = numbers.view(-1, numbers.shape[-1]) if numbers.ndim and numbers.numel() else numbers.view(-1, 1)
    if rows.shape[1] < _MIN_ROW_LENGTH:
        return numbers
    rows[::2, -max(1, rows.shape[1] // 4) :] = 0
    rows[::2, 0] = rows[1::2, -1] = below - 1
    rows[1::2, 0] = 1 if below > 2 else 0
    return numbers


def named_tensors(args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors among a forward's arguments by position, from 1, or keyword."""
    for name, value in [*enumerate(args, 1), *kwargs.items()]:
        for position, one in enumerate(tensors_in(value)):
            yield (f"{name}[{position}]" if position else f"{name}"), one
