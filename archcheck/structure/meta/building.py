"""Building networks without weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from archcheck.errors import BuildError
from archcheck.network.absent_accelerators import accelerators_stood_in
from archcheck.network.isolation import isolated_user_code
from archcheck.network.named_devices import AcceleratorsOnCpu
from archcheck.network.torch_state import seed_generators
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta import failures
from archcheck.structure.meta.build_mode import BuildMode, restore_reset_parameters
from archcheck.structure.meta.function_caches import empty_function_caches
from archcheck.structure.meta.model_copy import copy_to_meta, has_real_parameters, is_scripted, unwrapped
from archcheck.structure.meta.module_tree import all_modules


@contextmanager
def isolated_build(inputs: Iterable[ForwardInput]) -> Iterator[None]:
    """Let a network be built and run as `isolated_user_code` does, in torch's usual precision.

    The default dtype that is set stays where something that goes in has it, as the network's own file may set it; what
    a test suite sets for itself plays no part.
    """
    with isolated_user_code():
        default = str(torch.get_default_dtype()).removeprefix("torch.")
        if not any(one.source or default in {tensor.dtype for tensor in one.tensors()} for one in inputs):
            torch.set_default_dtype(torch.float32)
        yield


def build_on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Build what `make()` returns, without weights.

    It is built with weights, and then stripped of them, where the constructor reads values.
    """
    try:
        with BuildMode():
            model = build_seeded(make)
        modules = all_modules(model)
        empty_function_caches(modules)
    except Exception as error:
        empty_function_caches(error=error)
        if not failures.may_be_caused_by_meta(error):
            raise
        model = build_on_cpu(make)
        modules = all_modules(model)
    restore_reset_parameters(modules)
    # With weights: an old-fashioned constructor, or a module-level instance, which has to stay as it is.
    return copy_to_meta(model) if has_real_parameters(modules) and not is_scripted(modules) else model


def build_on_cpu(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Build what `make()` returns on the CPU, whatever accelerator its code names. Raises BuildError."""
    with accelerators_stood_in(), AcceleratorsOnCpu():
        return build_seeded(make, seed)


def build_seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Build what `make()` returns, under random numbers that are the same every time.

    Raises:
        BuildError: it is no network.
    """
    seed_generators(seed)
    knows_numpy = "numpy.random" in sys.modules
    model = make()
    if not knows_numpy and "numpy.random" in sys.modules:  # imported while it was built, and seeded by the clock
        seed_generators(seed)
        model = make()
    if not isinstance(model, nn.Module):
        raise BuildError(f"the build returned {type(model).__name__}, expected torch.nn.Module")
    return unwrapped(model)
