"""What a user's training loop may change of the process itself, put back at the end: other specs run in it, too."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept_process() -> Iterator[None]:
    """Restore the working directory, the environment variables and what is done on signals after the block."""
    directory, variables, handlers = os.getcwd(), dict(os.environ), _signal_handlers()
    try:
        yield
    finally:
        os.chdir(directory)
        _restore_variables(variables)
        for number, handler in handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)


def _restore_variables(before: Mapping[str, str]) -> None:
    now = dict(os.environ)
    for name in now.keys() - before.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if now.get(name) != value})


def _signal_handlers() -> dict[signal.Signals, Any]:
    """Return what is done on each signal; nothing outside the main thread, where nobody can set it."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [one for one in signal.valid_signals() if isinstance(one, signal.Signals)]
    found = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in found.items() if handler is not None}  # None: not set by Python
