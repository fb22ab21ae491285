"""Networks that are ours to run, train and convert, whoever else has them."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from archcheck.errors import NotMeasured, UsageError
from archcheck.structure.meta.building import build_seeded
from archcheck.structure.meta.model_copy import copy_to_cpu
from archcheck.structure.meta.module_tree import buffers_of, parameters_of


def own_pair(make: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    """Build a network twice, with the same weights; where a build hands out what it has, these are copies.

    Raises:
        NotMeasured: it hands out what can't be copied.
        BuildError: it can't be built.
    """
    one, other = build_seeded(make), build_seeded(make)
    held = {id(tensor) for tensor in (*parameters_of(one), *buffers_of(one))}
    if one is other or any(id(tensor) in held for tensor in (*parameters_of(other), *buffers_of(other))):
        try:
            one, other = copy_to_cpu(one), copy_to_cpu(one)
        except UsageError as error:
            raise NotMeasured(str(error)) from None
    other.load_state_dict(one.state_dict(), strict=False)
    return one, other
