"""The processors that this process may use, and how its threads wait for one another."""

from __future__ import annotations

import os
import sys
from typing import Final

_POLICIES: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def num_cpus() -> int:
    """Return the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_waiting_threads_yield() -> None:
    """Have OpenMP's threads sleep while they wait, where nobody has decided otherwise and torch isn't loaded yet.

    They spin by default. Beside another process, which wants the core of one of them, every barrier then takes as long
    as that one's turn: a small network trains 30 to 100 times slower.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _POLICIES):
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
