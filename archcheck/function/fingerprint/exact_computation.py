"""Torch's settings while fingerprints are taken."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archcheck.function.fingerprint.config import CPU
from archcheck.network.isolation import gc_paused, isolated_user_code


@contextmanager
def exact_computation(device: torch.device = CPU) -> Iterator[None]:
    """Make torch compute exactly and repeatably, and put the caller's settings back afterwards."""
    with isolated_user_code(), gc_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the forward pass of the structure checks has already shown them
        torch.set_float32_matmul_precision("highest")
        if device.type != "cpu":  # a CPU is deterministic anyway, and would fill all uninitialised memory first
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield
