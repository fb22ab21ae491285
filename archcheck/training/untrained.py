"""The parameters that a loop of the user's own leaves as they were: frozen, forgotten, or of a copy's optimizer."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from archcheck.text.words import counted, listed

MAX_NAMES = 4  # that a note repeats
_Digest: TypeAlias = tuple[int, float]


class ParameterWatch:
    """Knows which trainable parameters a network had, and tells later which of them are as they were."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._before = _digests(network)

    def note(self) -> str | None:
        """Say which parameters are as they were; None where all have changed, or none can be looked at."""
        now = _digests(self._network, trainable_only=False)
        same = [name for name, digest in self._before.items() if now.get(name) == digest]
        if not same:
            return None
        if len(same) == len(self._before):
            return "the loop left all trainable parameters of the network as they were"
        of = f"{len(same)} of {counted(len(self._before), 'trainable parameter')}"
        return f"the loop left {of} as they were: {listed(same, MAX_NAMES)}"


def _digests(network: nn.Module, *, trainable_only: bool = True) -> dict[str, _Digest]:
    """Return a digest of what each parameter holds, by name, of those that there is one for."""
    digests = ((name, _digest(p)) for name, p in network.named_parameters() if p.requires_grad or not trainable_only)
    return {name: digest for name, digest in digests if digest is not None}


def _digest(parameter: Tensor) -> _Digest | None:
    """Return a digest of what a parameter holds; None where it's empty, lazy, or of a kind without one."""
    if isinstance(parameter, nn.UninitializedParameter) or not parameter.numel():
        return None
    numbers = torch.view_as_real(parameter.detach()) if parameter.is_complex() else parameter.detach()
    try:
        # A hash by XOR: of zeros it's that of any other number an even number of times, which the norm tells apart.
        hashed = int(torch.hash_tensor(numbers).view(torch.int64))  # a uint64 need not fit into what int() takes
        return hashed, float(torch.linalg.vector_norm(numbers, dtype=torch.float64))
    except Exception:  # tensors of other libraries may know no such operation
        return None
