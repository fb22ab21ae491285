"""Torch's global settings and the random generators: kept as the caller had them, or set for a run."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from archcheck.network.devices import autocast, generator_states, restore_generators, start_generators


@contextmanager
def preserved_state() -> Iterator[None]:
    """Undo whatever happens inside to torch's settings and to the random generators."""
    settings, generators = _settings(), _generators()
    try:
        yield
    finally:
        _restore_settings(settings)
        _restore_generators(generators)


@contextmanager
def cpu_by_default() -> Iterator[None]:
    """Make the CPU the default device where the caller has another; a mode of our own would slow every call down.

    For use within `preserved_state`, which brings the caller's back.
    """
    if _default_device_context() is not None:
        torch.set_default_device(None)
    if not torch._C._len_torch_function_stack():
        yield
        return
    with torch.device("cpu"):  # a context of the caller's
        yield


@contextmanager
def default_torch_settings() -> Iterator[None]:
    """Run a user's code under the settings that torch has when just imported; restore the caller's afterwards."""
    with preserved_state(), torch.inference_mode(False), cpu_by_default():
        torch.set_default_dtype(torch.float32)
        yield


@contextmanager
def seeded(seed: int, device: torch.device, num_threads: int | None = None) -> Iterator[None]:
    """Give every run the same random numbers and settings, with so many threads at most; restore the caller's then."""
    start_generators(device)  # before their states are kept
    _import_numpy_random()
    with default_torch_settings(), autocast(device, None):
        if num_threads is not None:
            torch.set_num_threads(min(num_threads, torch.get_num_threads()))
        torch.manual_seed(seed)
        seed_generators(seed)
        yield


@contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed torch's (on the CPU), Python's and NumPy's generators for the block; restore their states afterwards."""
    _import_numpy_random()
    before = _cpu_generators()
    seed_generators(seed)
    try:
        yield
    finally:
        _restore_cpu_generators(before)


def has_drawn_since(seed: int) -> bool:
    """Return whether Python's or NumPy's generator has drawn numbers since `seed_generators(seed)`."""
    now = _states_beside_torchs()
    with isolated_random_state(seed):
        return now != _states_beside_torchs()


def _states_beside_torchs() -> tuple[Any, ...]:
    _, pythons, numpys = _cpu_generators()
    return pythons, None if numpys is None else [getattr(one, "tolist", lambda one=one: one)() for one in numpys]


def _import_numpy_random() -> None:
    """Import NumPy's generator where NumPy is loaded: imported during a run, it would seed itself by the clock."""
    if "numpy" in sys.modules:
        import numpy.random  # noqa: F401


def seed_generators(seed: int = 0) -> None:
    """Seed every generator of the CPU; those of a GPU are left as they are."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed(seed % 2**32)


def _settings() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        _float32_precisions(),
        torch.get_num_threads(),
        torch.distributions.Distribution._validate_args,  # which torch.compile switches off for good
        _default_device_context(),
    )


def _restore_settings(before: tuple[Any, ...]) -> None:
    after = _settings()
    if after == before:
        return
    dtype, deterministic, warn_only, anomaly, *cudnn, precisions, threads, validates, device = before
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.autograd.set_detect_anomaly(*anomaly)
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
    _restore_float32_precisions(precisions)
    torch.set_num_threads(threads)
    torch.distributions.Distribution.set_default_validate_args(validates)
    if after[-1] is not device:
        torch.set_default_device(None if device is None else device.device)


# TF32, bfloat16 or neither. Torch has newer and older names for these, keeps both, and refuses to tell the older once
# they disagree; setting an older one sets the newer ones behind it.
_OLDER_PRECISIONS = ((torch, "float32_matmul_precision"), (torch.backends.cuda.matmul, "allow_tf32"),
                     (torch.backends.cudnn, "allow_tf32"))  # fmt: skip


def _float32_precisions() -> tuple[Any, ...]:
    return tuple(_older_precision(*older) for older in _OLDER_PRECISIONS), *(
        kind.fp32_precision for kind in _float32_kinds()
    )


def _older_precision(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, f"get_{name}")() if owner is torch else getattr(owner, name)
    except RuntimeError:
        return None


def _restore_float32_precisions(before: tuple[Any, ...]) -> None:
    olders, *kinds = before
    for (owner, name), value in zip(_OLDER_PRECISIONS, olders, strict=True):
        if value is not None:
            torch.set_float32_matmul_precision(value) if owner is torch else setattr(owner, name, value)
    for kind, precision in zip(_float32_kinds(), kinds, strict=True):
        kind.fp32_precision = precision


def _float32_kinds() -> tuple[Any, ...]:
    backends = torch.backends
    cudnn, mkldnn = backends.cudnn, backends.mkldnn
    return backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn  # type: ignore[attr-defined]


def _default_device_context() -> Any:
    return getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)


def _generators() -> tuple[Any, ...]:
    return generator_states(), _cpu_generators()


def _restore_generators(before: tuple[Any, ...]) -> None:
    accelerators, cpu = before
    restore_generators(accelerators)
    _restore_cpu_generators(cpu)


def _cpu_generators() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy.random")
    return torch.get_rng_state(), random.getstate(), numpy.get_state() if numpy is not None else None


def _restore_cpu_generators(before: tuple[Any, ...]) -> None:
    torchs, pythons, numpys = before
    torch.set_rng_state(torchs)
    random.setstate(pythons)
    if numpys is not None:
        sys.modules["numpy.random"].set_state(numpys)
