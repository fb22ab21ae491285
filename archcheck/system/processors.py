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
    """Have OpenMP's threads soon sleep while they wait, where nobody has decided and torch isn't loaded yet.

    By default they spin for milliseconds. Where other processes want their cores, every barrier then takes as long as
    the turns of these: a small network trains ten times slower and more.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _POLICIES):
        os.environ["GOMP_SPINCOUNT"] = "5000"  # some microseconds, as long as a barrier of a small layer takes
