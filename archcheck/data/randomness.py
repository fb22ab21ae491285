"""Random numbers apart from the process's own: the same seeds give the same numbers, whatever ran before."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: object) -> int:
    """A seed for one purpose out of several, such as (seed, epoch, "order"): 0 to 2**63 - 1, unlike its neighbours'."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Run foreign code on random state of its own (torch's on the CPU, Python's, NumPy's); then put back what was."""
    numpy = sys.modules.get("numpy")  # nobody's state unless somebody has imported it
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
