"""The main function of a process that makes specs, one for each line that comes in. `new_pool` is the parent's side.

It ends when standard input does, so that it never outlives its parent. Whatever a network prints goes to standard
error, which the parent tells in the order of the targets; warnings stand there between marks, as each is told once.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from typing import Any, Final

from archcheck.system.processes import from_line, take_pipes, tell_stacks, to_line

WARNING_MARKS: Final = ("\x1c", "\x1d")


def main() -> None:
    """Make specs until the parent closes the pipe."""
    requests, answers = take_pipes()
    tell_stacks()
    _import_all()
    warnings.showwarning = _show_between_marks
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        for line in requests:
            answers.write(_answer(line))
            answers.flush()
    os._exit(0)  # without waiting for threads of the network


def _import_all() -> None:
    """Import what every network needs, and leave it out of garbage collection, which goes through all of it."""
    from archcheck.cli import new_tasks  # noqa: F401
    from archcheck.discovery import search  # noqa: F401
    from archcheck.function import measure  # noqa: F401

    gc.collect()
    gc.freeze()


def _answer(line: str) -> str:
    from archcheck.cli.new_tasks import make

    made = make(from_line(line))
    gc.collect()  # a network that refers to itself is let go of before the next one is built
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return to_line(made)


def _show_between_marks(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    begin, end = WARNING_MARKS
    stream = sys.stderr if file is None else file
    stream.write(f"{begin}{warnings.formatwarning(message, category, filename, lineno, line)}{end}")
