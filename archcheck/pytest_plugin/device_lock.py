"""A device that several workers share: used by all of them at once, or by one that ran out of memory alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from archcheck.checks.outcome import Outcome
from archcheck.training.records import OUT_OF_MEMORY

try:
    import fcntl
except ImportError:  # Windows: workers there don't wait for each other
    fcntl = None  # type: ignore[assignment]

STILL: Final = "out of memory alone on the device, too: other workers of pytest-xdist waited meanwhile"


class DeviceLock:
    """Keeps the workers of one run of pytest-xdist apart that share a device, by a lock on a file.

    release: frees what this process holds on the device and doesn't need.
    """

    def __init__(self, path: str, release: Callable[[], None]) -> None:
        self._path, self._release = path, release

    def run(self, measure: Callable[[], Outcome]) -> Outcome:
        """Measure beside the other workers; where memory runs out, once more alone."""
        with self._held(alone=False):
            outcome = measure()
            is_lacking = _is_out_of_memory(outcome)
            self._release()
        if not is_lacking:
            return outcome
        with self._held(alone=True):
            outcome = measure()
            self._release()
        if not _is_out_of_memory(outcome):
            return outcome
        first, *others = outcome.mismatches
        return replace(outcome, mismatches=(replace(first, notes=(*first.notes, ("note", STILL))), *others))

    @contextmanager
    def _held(self, *, alone: bool) -> Iterator[None]:
        if fcntl is None:
            yield
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)


def _is_out_of_memory(outcome: Outcome) -> bool:
    return any(OUT_OF_MEMORY in one.problem for one in outcome.mismatches)
