"""The processors that this process may use, how many threads an amount of work is for, and how these wait."""

from __future__ import annotations

import os
import sys
from typing import Final

WORK_PER_THREAD: Final = 2**24
"""Multiply-adds of an average operation that are worth a thread: a quarter to half a millisecond in single precision.

All threads of an operation have to be done before the next one starts. That takes 20 to 100 microseconds on a quiet
machine, and half a millisecond and more where another process has one of the cores. So two threads pay where an
operation takes one of them half a millisecond to a millisecond; in a small network 64 would do nothing but wait.
"""
WORK_PER_THREAD_ALONE: Final = 2**22
"""The same where every thread has a whole core for itself: with less work more threads don't pay anywhere."""
_TIMES_WHERE_THREADS_SPIN: Final = 16  # as much work, as beside a neighbour each wait takes as long as its turn
_POLICIES: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
_NUM_WORKERS: Final = "PYTEST_XDIST_WORKER_COUNT"
OWN_VARIABLES: Final = frozenset((*_POLICIES, _NUM_WORKERS))
"""The environment variables that are read here, while a network runs, too."""


def num_cpus() -> int:
    """Return the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_share() -> int:
    """Return this process's share of the processors: the workers of pytest-xdist divide them."""
    workers = os.environ.get(_NUM_WORKERS, "")
    return max(1, num_cpus() // int(workers)) if workers.isdecimal() and int(workers) else num_cpus()


def fitting_threads(work_per_operation: float, allowed: int) -> tuple[int, int]:
    """Return how many threads pay for operations of so many multiply-adds: on any machine, and at most.

    It's one for each `WORK_PER_THREAD`, at least one, and no more than allowed; at most one for each
    `WORK_PER_THREAD_ALONE`. Where it was too late to have waiting threads yield, and nobody else has decided, a thread
    has to be worth more.
    """
    if _is_waiting_decided():
        least, least_alone = WORK_PER_THREAD, WORK_PER_THREAD_ALONE
    else:
        least = least_alone = _TIMES_WHERE_THREADS_SPIN * WORK_PER_THREAD
    anywhere, alone = (max(1, min(allowed, int(work_per_operation / one))) for one in (least, least_alone))
    return anywhere, alone


def let_waiting_threads_yield() -> None:
    """Have OpenMP's threads soon sleep while they wait, where nobody has decided and torch isn't loaded yet.

    By default they spin for milliseconds. Where other processes want their cores, every barrier then takes as long as
    the turns of these: a small network trains ten times slower and more.
    """
    if "torch" not in sys.modules and not _is_waiting_decided():
        os.environ["GOMP_SPINCOUNT"] = "5000"  # some microseconds, as long as a barrier of a small layer takes


def _is_waiting_decided() -> bool:
    return any(name in os.environ for name in _POLICIES)
