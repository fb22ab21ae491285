"""Ctrl-C that Python has dropped is raised at the next chance."""

from __future__ import annotations

import signal

import pytest

from archcheck.training.interrupts import Interrupts


def test_what_was_dropped_is_raised_again() -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            interrupts.check()


def test_the_callers_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
