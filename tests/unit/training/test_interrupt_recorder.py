"""Ctrl-C that Python has dropped is raised at the next chance."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from archcheck.training.interrupt_recorder import InterruptRecorder


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Background jobs of a shell ignore Ctrl-C, and so would this process in one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_was_dropped_is_raised_again() -> None:
    with InterruptRecorder() as interrupts:
        interrupts.raise_if_interrupted()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            interrupts.raise_if_interrupted()


def test_the_callers_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with InterruptRecorder():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
