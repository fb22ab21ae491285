"""Whether two networks compute the same: their outputs, and the gradients of their weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.digests import tensors_in
from archcheck.structure.meta.module_tree import named_network, named_params


def outputs_of(value: Any) -> list[tuple[str, Tensor]]:
    """Return the tensors of an output under names for messages."""
    tensors = list(tensors_in(value))
    return [("the output" if len(tensors) == 1 else f"output {i}", one) for i, one in enumerate(tensors, 1)]


def gradients_of(network: nn.Module, outputs: Sequence[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    """Run a backward pass from different numbers for each element, and return the gradients by parameter."""
    params = named_params(named_network(network).modules)
    for param in params.values():
        param.grad = None
    roots = [one for _, one in outputs if one.requires_grad]
    if roots:
        torch.autograd.backward(roots, [_pull(one) for one in roots])
    return [(f"the gradient of {name}", one.grad) for name, one in params.items() if one.grad is not None]


def _pull(output: Tensor) -> Tensor:
    numbers = torch.linspace(0.5, 1.5, output.numel(), dtype=output.real.dtype if output.is_complex() else output.dtype)
    return numbers.reshape(output.shape).to(output.dtype)


def difference(
    expected: Sequence[tuple[str, Tensor]], actual: Sequence[tuple[str, Tensor]], tolerance: float
) -> str | None:
    """Say where two lists of tensors differ by more than a share of their largest number; None where they don't."""
    if [name for name, _ in expected] != [name for name, _ in actual]:
        return f"{len(actual)} tensors instead of {len(expected)}"
    largest = _largest_by_kind(expected)
    for (name, one), (_, other) in zip(expected, actual, strict=True):
        if one.shape != other.shape:
            return f"{name} has the shape {list(other.shape)} instead of {list(one.shape)}"
        off = _distance(one, other)
        scale = largest[_kind(name)]
        if off > tolerance * scale or math.isnan(off):
            return f"{name} is off by {off / scale if scale else off:.1e} of the largest number"
    return None


def _largest_by_kind(tensors: Sequence[tuple[str, Tensor]]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name, one in tensors:
        found[_kind(name)] = max(found.get(_kind(name), 0.0), *_finite_sizes(one))
    return found


def _kind(name: str) -> str:
    """Return what a tensor is compared beside: gradients with each other, as some of them are but rounding."""
    return "gradient" if name.startswith("the gradient") else name


def _finite_sizes(tensor: Tensor) -> Iterator[float]:
    yield 0.0
    numbers = _numbers(tensor)
    finite = numbers[numbers.isfinite()]
    if finite.numel():
        yield float(finite.abs().max())


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest difference; NaN where only one of two numbers is finite."""
    a, b = _numbers(one), _numbers(other)
    if not torch.equal(a.isfinite(), b.isfinite()):
        return math.nan
    apart = (a - b)[a.isfinite()].abs()
    return float(apart.max()) if apart.numel() else 0.0


def _numbers(tensor: Tensor) -> Tensor:
    plain = tensor.detach()
    return (torch.view_as_real(plain) if plain.is_complex() else plain).double().reshape(-1)
