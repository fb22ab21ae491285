"""The vectors that a spectral norm keeps for each weight: torch's, by hooks or as a parametrization, or one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm

from archcheck.function.fingerprint.number_pool import squeezed_shape, uniform

_UNIT: Final = 1e-4  # how far the length of a vector of one's own may be from 1


@dataclass(frozen=True, slots=True, eq=False)
class SpectralVectors:
    """Where a network keeps the left and the right vector of one weight, whose rows lie along `dim`.

    In whatever order the steps are taken that bring them closer to the weight's own, they change nothing once they are.
    """

    weight: Tensor
    holder: nn.Module
    left_name: str | None
    right_name: str | None
    dim: int

    @property
    def setting(self) -> float:
        """A number for what only shows where the vectors aren't yet those of the weight."""
        return 1000.0 * (1 + self.dim)

    def tensors(self) -> Iterator[Tensor]:
        """Yield the vectors, as they are now: converting a network replaces them."""
        held: Any = {**self.holder._parameters, **self.holder._buffers}
        yield from (held[name] for name in (self.left_name, self.right_name) if name is not None)

    def compute(self) -> None:
        """Make both the singular vectors of the weight as it is; random ones would make it explode."""
        matrix = self.weight.detach().movedim(self.dim, 0).flatten(1)
        left = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -1]  # (rows,), of the largest
        left = left * (left @ uniform(left.shape, "spectral", left.device).to(left.dtype)).sign()
        right = nn.functional.normalize(matrix.T @ left, dim=0)
        made = [one for one, name in ((left, self.left_name), (right, self.right_name)) if name is not None]
        for tensor, values in zip(self.tensors(), made, strict=True):
            tensor.detach().copy_(values.view(tensor.shape))


def find_spectral_vectors(
    modules: Mapping[str, nn.Module], is_drawn: Callable[[Tensor], bool]
) -> Iterator[SpectralVectors]:
    """Yield those of all weights in a network that have a spectral norm, before the weights are converted."""
    parametrized = torch.nn.utils.parametrizations._SpectralNorm
    for name, module in modules.items():
        hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
        for hook in hooks:
            weight = module._parameters[f"{hook.name}_orig"]
            assert weight is not None
            yield SpectralVectors(weight, module, f"{hook.name}_u", f"{hook.name}_v", hook.dim)
        if isinstance(module, parametrized) and "_u" in module._buffers:
            weight = modules[name.rpartition(".")[0]]._parameters["original"]
            assert weight is not None
            yield SpectralVectors(weight, module, "_u", "_v", module.dim)
        elif not hooks:
            yield from _of_ones_own(module, is_drawn)


def _of_ones_own(module: nn.Module, is_drawn: Callable[[Tensor], bool]) -> Iterator[SpectralVectors]:
    """Yield the vectors of a spectral norm that isn't torch's, told by what they are.

    They are drawn, untrained, of length 1, as many numbers long as a weight of the same module (or, if it has none, of
    the modules right in it) has rows or columns.
    """
    vectors = {
        name: one.numel()
        for name, one in chain(module._parameters.items(), module._buffers.items())
        if one is not None and is_drawn(one) and _is_unit_vector(one)
    }
    if not vectors:
        return
    for weight in _weights_of(module) or [one for child in module.children() for one in _weights_of(child)]:
        found = _fitting(weight, vectors)
        if found is not None:
            left, right, dim = found
            yield SpectralVectors(weight, module, left, right, dim)
            vectors = {name: size for name, size in vectors.items() if name not in (left, right)}


def _is_unit_vector(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.requires_grad or tensor.layout is not torch.strided or tensor.is_meta:
        return False
    is_vector = not tensor.is_nested and len(squeezed_shape(tensor.shape)) == 1
    return is_vector and abs(float(torch.linalg.vector_norm(tensor.detach())) - 1) < _UNIT


def _weights_of(module: nn.Module) -> list[Tensor]:
    return [one for one in module._parameters.values() if one is not None and one.requires_grad and one.ndim > 1]


def _fitting(weight: Tensor, vectors: Mapping[str, int]) -> tuple[str | None, str | None, int] | None:
    """Return which vectors are a weight's left and right one, and the dimension of its rows; None where none fits."""
    for dim in (0, 1):
        rows = weight.shape[dim]
        columns = weight.numel() // max(rows, 1)
        left = next((name for name, size in vectors.items() if size == rows), None)
        right = next((name for name, size in vectors.items() if size == columns and name != left), None)
        if (left and right) or (len(vectors) == 1 and (left or right)):
            return left, right, dim
    return None
