"""Waiting for processes that a test has started."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], timeout_sec: float = 60) -> None:
    """Return as soon as a condition holds. Fail where it does not in time."""
    end = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
