"""The caller's global state, kept as it was."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


@contextmanager
def preserved_world() -> Iterator[None]:
    """Undo whatever a constructor or a forward pass does to torch's settings and to the random generators."""
    settings, generators, state = _settings(), _generators(), torch._C._get_torch_function_state()
    try:
        with torch.inference_mode(False), torch.no_grad(), _uncompiled(), _cpu_by_default():
            yield
    finally:
        torch._C._set_torch_function_state(state)
        _restore_settings(settings)
        _restore_generators(generators)


def _uncompiled() -> AbstractContextManager[Any]:
    """Functions under torch.compile run as they are written; only where compiling was ever imported."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")  # type: ignore[no-any-return]


def _cpu_by_default() -> AbstractContextManager[Any]:
    """The CPU as default device, where the caller has another; a mode of its own would slow every call down."""
    return torch.device("cpu") if torch._C._len_torch_function_stack() else nullcontext()


@contextmanager
def room_for_depth(names: Iterable[str]) -> Iterator[None]:
    """Let modules nest as deeply as they can without a trace, which has a call of its own for each of theirs."""
    before = sys.getrecursionlimit()
    depth = max((name.count(".") for name in names), default=0)
    if depth < 50:
        yield
        return
    sys.setrecursionlimit(before + 3 * depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def seed_generators() -> None:
    """The same random numbers for every build; those of the GPU are never drawn from."""
    torch.default_generator.manual_seed(0)
    random.seed(0)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed(0)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Modules are many small objects: collecting garbage among them takes a third of the time it takes to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _settings() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        torch.get_num_threads(),
        _default_device_context(),
    )


def _restore_settings(before: tuple[Any, ...]) -> None:
    after = _settings()
    if after == before:
        return
    dtype, deterministic, warn_only, *cudnn, threads, device = before
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
    torch.set_num_threads(threads)
    if after[-1] is not device:
        torch.set_default_device(None if device is None else device.device)


def _default_device_context() -> Any:
    return getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)


def _generators() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy.random")
    return (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None,  # type: ignore[no-untyped-call]
        random.getstate(),
        numpy.get_state() if numpy is not None else None,
    )


def _restore_generators(before: tuple[Any, ...]) -> None:
    cpu, cuda, python, numpy = before
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    if numpy is not None:
        sys.modules["numpy.random"].set_state(numpy)
