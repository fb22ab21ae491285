"""The command line that a user's code sees while it's imported and builds a network: its own, not archcheck's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_if_run(script: str) -> Iterator[None]:
    """Have `sys.argv` be that of a script run without arguments: code at the top of a file may parse it."""
    kept = sys.argv
    sys.argv = [script]
    try:
        yield
    finally:
        sys.argv = kept


def refused_command_line(error: BaseException) -> str | None:
    """Return what to do where code has parsed its command line, which lacks something; None where it was another error.

    What was wrong with it argparse has printed, and keeps nowhere but in its own frame.
    """
    message = None
    traceback = error.__traceback__ if isinstance(error, SystemExit) else None
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        if frame.f_code is argparse.ArgumentParser.error.__code__:
            message = frame.f_locals.get("message")
    if message is None:
        return None
    return (
        f"it parses its command line, which is empty here ({message}): give these options a default, "
        'or call parse_args() below `if __name__ == "__main__":`'
    )
