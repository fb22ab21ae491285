"""Processes of our own that answer lines on a pipe: their end of it, and how they are ended."""

from __future__ import annotations

import base64
import faulthandler
import functools
import os
import pickle
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Final

PARENT_POLL_SEC: Final = 1.0
STACKS: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None)  # which Windows doesn't have
_COVERAGE_VARIABLES: Final = ("COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE", "COVERAGE_PROCESS_START")


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of ours: this one's with some variables, and without coverage's."""
    kept = {name: value for name, value in os.environ.items() if name not in _COVERAGE_VARIABLES}
    return {**kept, **variables}


def take_pipes() -> tuple[IO[str], IO[str]]:
    """Take standard input and output for requests and answers, in a process that was started to give these.

    What a network prints goes to standard error from then on, and what it reads is empty. Ctrl-C is left to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return requests, answers


def tell_stacks() -> None:
    """Have this process write the stacks of its threads to standard error where it crashes, or is sent `STACKS`."""
    errors = os.fdopen(os.dup(2), "w")  # whatever becomes of 2 meanwhile, as pytest captures it
    faulthandler.enable(errors)
    if STACKS is not None:
        faulthandler.register(STACKS, errors)


@functools.cache
def end_with_parent() -> None:
    """Have this process end soon after the one that has started it, whatever it does meanwhile."""
    threading.Thread(target=_wait_for_another_parent, args=(os.getppid(),), daemon=True).start()


def _wait_for_another_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SEC)
    os._exit(1)


def to_line(value: object) -> str:
    """Return any value that can be pickled as a line to send."""
    return f"{base64.b64encode(pickle.dumps(value)).decode()}\n"


def from_line(line: str) -> Any:
    """Return the value that `to_line` made a line of."""
    return pickle.loads(base64.b64decode(line))


def end_process(process: subprocess.Popen[str]) -> None:
    """Kill a process and, where it leads a session of its own, the processes that it started."""
    with suppress(OSError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def describe_signal(status: int) -> str:
    """Say which signal has killed a process that ended with a status below 0."""
    return f"was killed by signal {-status}{'; was memory short?' if status == -9 else ''}"
