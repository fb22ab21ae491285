"""The time that a search may take."""

from __future__ import annotations

import time
from typing import Final

from archcheck.function.diagnosis.pass_notes import PassStopped

_UNREAD_SEC: Final = 0.005  # between two readings of the processor's clock
_WAITING: Final = 4.0  # times as long may pass by the clock: on a busy machine, or for a network that waits


class Budget:
    """Processor time of this process, counted from now on: a busy machine finds what an idle one does."""

    def __init__(self, sec: float) -> None:
        self._cpu_end_sec = time.process_time() + sec
        self._end_sec = time.perf_counter() + _WAITING * sec
        self._read_sec = 0.0

    def check(self) -> None:
        """Raise PassStopped where it's spent; reading the processor's clock can cost more than an operation does."""
        now_sec = time.perf_counter()
        if now_sec - self._read_sec >= _UNREAD_SEC:
            self._read_sec = 0.0  # what is spent stays spent
            self.require(0.0)
            self._read_sec = now_sec

    def require(self, sec: float) -> None:
        """Raise PassStopped where less than that is left, for what can't be stopped halfway."""
        if time.process_time() + sec > self._cpu_end_sec or time.perf_counter() + sec > self._end_sec:
            raise PassStopped

    def extend(self, sec: float) -> None:
        """Grant more."""
        self._read_sec = 0.0
        self._cpu_end_sec += sec
        self._end_sec += _WAITING * sec
