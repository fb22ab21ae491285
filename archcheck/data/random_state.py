"""Derived seeds, and random state kept apart from the process's own: equal seeds give equal numbers, whatever ran."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: object) -> int:
    """Hash several values, such as (seed, epoch, "order"), to a seed from 0 to 2**63 - 1 for that purpose alone."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed torch's (on the CPU), Python's and NumPy's generators for the block; restore their states afterwards."""
    numpy = sys.modules.get("numpy")  # has no state to keep unless it has been imported
    saved_torch, saved_python = torch.random.get_rng_state(), random.getstate()
    saved_numpy = numpy.random.get_state() if numpy is not None else None
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    if numpy is not None:
        numpy.random.seed(seed & 0xFFFFFFFF)
    try:
        yield
    finally:
        torch.random.set_rng_state(saved_torch)
        random.setstate(saved_python)
        if numpy is not None:
            numpy.random.set_state(saved_numpy)
