"""The vectors that torch's spectral norm, by hooks or as a parametrization, keeps for each weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm

from archcheck.function.fingerprint.number_pool import uniform


@dataclass(frozen=True, slots=True)
class SpectralVectors:
    """The left and right vector of one weight, whose rows lie along `dim`, and how many steps a forward takes.

    In whatever order the steps are taken, they change nothing once the vectors are those of the weight.
    """

    weight: Tensor
    left: Tensor
    right: Tensor
    dim: int
    num_steps: int

    @property
    def setting(self) -> float:
        """A number for what only shows where the vectors aren't yet those of the weight."""
        return 1000.0 * (1 + self.dim) + self.num_steps

    def compute(self) -> None:
        """Make both the singular vectors of the weight as it is; random ones would make it explode."""
        matrix = self.weight.detach().movedim(self.dim, 0).flatten(1)
        left = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -1]  # (rows,), of the largest
        left = left * (left @ uniform(left.shape, "spectral", left.device).to(left.dtype)).sign()
        right = nn.functional.normalize(matrix.T @ left, dim=0)
        self.left.detach().copy_(left)
        self.right.detach().copy_(right)


def find_spectral_vectors(modules: Mapping[str, nn.Module]) -> Iterator[SpectralVectors]:
    """Yield those of all weights in a network that have a spectral norm."""
    parametrized = torch.nn.utils.parametrizations._SpectralNorm
    for name, module in modules.items():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                held: Any = {**module._parameters, **module._buffers}
                weight, left, right = (held[f"{hook.name}_{key}"] for key in ("orig", "u", "v"))
                yield SpectralVectors(weight, left, right, hook.dim, hook.n_power_iterations)
        if isinstance(module, parametrized) and "_u" in module._buffers:
            weight = modules[name.rpartition(".")[0]]._parameters["original"]
            left, right = module._buffers["_u"], module._buffers["_v"]
            assert weight is not None
            assert left is not None
            assert right is not None
            yield SpectralVectors(weight, left, right, module.dim, module.n_power_iterations)
