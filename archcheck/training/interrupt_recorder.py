"""Ctrl-C, remembered until it has had its effect."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class InterruptRecorder:
    """Within it a Ctrl-C is noted as well as raised; `check` raises it again.

    Python drops a KeyboardInterrupt that is raised in a destructor or in the callbacks of a fork, and worker processes
    come with both. Does nothing outside the main thread, where no signals arrive.
    """

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> InterruptRecorder:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one."""
        if self._seen:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        self._before(number, frame)
