"""The arguments of a forward pass, made from their descriptions: where values come from is up to the caller."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.network.input_source import call_source, map_tensors
from archcheck.spec.domains import ANYTHING
from archcheck.spec.inputs import ForwardInput, LiteralInput, TensorInput
from archcheck.spec.tree import map_leaves

_MIN_ROW_LENGTH: Final = 3


def make_arguments(
    inputs: ForwardInput, make_tensor: Callable[[TensorInput], Tensor], convert: Callable[[Tensor], Tensor]
) -> tuple[list[Any], dict[str, Any]]:
    """Make the positional and the keyword arguments of a forward pass.

    make_tensor: is asked for each tensor in turn. convert: brings the tensors that a source made to their device and
    dtype.

    Raises:
        BuildError: the source of the inputs fails.
    """
    if inputs.source is not None:
        made: tuple[list[Any], dict[str, Any]] = map_tensors(
            convert, call_source(inputs.source, inputs.sizes, train=inputs.train)
        )
        return made

    def make(leaf: TensorInput | LiteralInput) -> Any:
        return copy.deepcopy(leaf.value) if isinstance(leaf, LiteralInput) else make_tensor(leaf)

    args, kwargs = map_leaves(make, (list(inputs.args), inputs.kwargs))
    return args, kwargs


def has_domain(value: TensorInput) -> bool:
    """Return whether a tensor's values are bounded, ordered or chosen: any number won't do."""
    return value.domain != ANYTHING or value.dtype == "bool"


def values_in_domain(value: TensorInput, noise: Tensor) -> Tensor:
    """Turn noise into values of a tensor's domain, in the dtype of the noise.

    noise: between -1 and 1, evenly spread, in the tensor's shape.
    """
    domain, dtype = value.domain, getattr(torch, value.dtype)
    unit = (noise + 1) / 2
    if domain.sums_to is not None:
        made = _summed(unit, domain.sums_to)
    elif domain.one_of:
        choice = torch.tensor(domain.one_of, dtype=noise.dtype, device=noise.device)
        made = choice[(unit * len(choice)).long().clamp_(max=len(choice) - 1)]
    elif dtype.is_floating_point:
        low, high = domain.real_numbers()
        made = low + (_distinct(unit) if domain.unique else unit) * (high - low)
    else:
        made = _whole_numbers(value, unit)
    if domain.order is not None:
        made = made.sort(-1, descending=domain.order == "descending").values if made.ndim else made
    return made


def _whole_numbers(value: TensorInput, unit: Tensor) -> Tensor:
    low, high = (0, 1) if value.dtype == "bool" else value.domain.whole_numbers()
    if value.domain.unique:
        return low + (_distinct(unit) * (high - low + 1)).floor().clamp_(max=high - low)
    numbers = (low + (unit * (high - low + 1)).floor()).clamp_(max=high)
    has_high, has_low = low > 0 or value.dtype == "bool", value.domain.order == "ascending"
    return _with_edge_values(numbers, low, high, always_has_high=has_high, always_has_low=has_low)


def _summed(unit: Tensor, total: float) -> Tensor:
    """Scale numbers such that each row of the last dimension has a sum; none of them is near 0."""
    positive = unit + 0.1
    return positive / positive.sum(-1, keepdim=True) * total if unit.ndim else torch.full_like(unit, total)


def _distinct(unit: Tensor) -> Tensor:
    """Spread each row of the last dimension over as many parts of [0, 1) as it has numbers, in another order."""
    if unit.ndim == 0:
        return unit
    length = unit.shape[-1]
    positions = torch.arange(length, dtype=unit.dtype, device=unit.device)
    spread = (positions + unit.clamp(max=1 - 1e-6) * 0.5) / max(length, 1)
    return spread.gather(-1, unit.argsort(-1))


def _with_edge_values(numbers: Tensor, low: int, high: int, *, always_has_high: bool, always_has_low: bool) -> Tensor:
    """Put in integers that often have a meaning: the smallest at the ends of rows, as padding is, 1, and the largest.

    No row is constant, unless it's very short: a mask that leaves nothing gives no number. Rows of the first kind begin
    with the largest: sequences as long as they may be, examples that a mask leaves. In ascending order the smallest is
    always there: the offset of the first of several bags, the number of the first group.
    """
    rows = numbers.view(-1, numbers.shape[-1]) if numbers.ndim and numbers.numel() else numbers.view(-1, 1)
    if rows.shape[1] < _MIN_ROW_LENGTH:
        if always_has_high or always_has_low:
            rows[:, 0] = high if always_has_high else low
        return numbers
    rows[::2, -max(1, rows.shape[1] // 4) :] = low
    rows[::2, 0] = rows[1::2, -1] = high
    rows[1::2, 0] = low + 1 if high > low + 1 else low
    return numbers
