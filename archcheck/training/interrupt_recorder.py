"""Ctrl-C, recorded so that it isn't lost where Python drops it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class InterruptRecorder:
    """A block in which a Ctrl-C is recorded as well as raised, for `raise_if_interrupted` to raise again.

    Python drops a KeyboardInterrupt that is raised in a destructor or in the callbacks of a fork, and worker processes
    come with both. The block changes nothing outside the main thread, where no signals arrive.
    """

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> InterruptRecorder:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def raise_if_interrupted(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C since the block began."""
        if self._seen:
            raise KeyboardInterrupt

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        self._before(number, frame)
