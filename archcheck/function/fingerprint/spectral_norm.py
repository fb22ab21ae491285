"""The vectors that torch's spectral norm, by hooks or as a parametrization, keeps for each weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm

from archcheck.function.fingerprint.number_pool import uniform

_NUM_ITERATIONS: Final = 3  # close to the singular vectors, and not so close that a further one changes nothing


@dataclass(frozen=True, slots=True)
class SpectralVectors:
    """The left and right vector of one weight, whose rows lie along `dim`."""

    weight: Tensor
    left: Tensor
    right: Tensor
    dim: int

    def estimate(self) -> None:
        """Bring both near to the singular vectors of the weight as it is; random ones would make it explode."""
        matrix = self.weight.detach().movedim(self.dim, 0).flatten(1)
        right = uniform(self.right.shape, "spectral", matrix.device).to(matrix.dtype)
        for _ in range(_NUM_ITERATIONS):
            left = nn.functional.normalize(matrix @ right, dim=0)
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
                yield SpectralVectors(weight, left, right, hook.dim)
        if isinstance(module, parametrized) and "_u" in module._buffers:
            weight = modules[name.rpartition(".")[0]]._parameters["original"]
            left, right = module._buffers["_u"], module._buffers["_v"]
            assert weight is not None
            assert left is not None
            assert right is not None
            yield SpectralVectors(weight, left, right, module.dim)
