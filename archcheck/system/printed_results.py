"""Standard output kept for what is printed: what code writes to the file descriptor itself isn't part of that."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def only_what_is_printed() -> Iterator[None]:
    """Send what is written to file descriptor 1 to standard error; what is printed goes where it went.

    A file, as after `> FILE`, gets UTF-8, as all files that are read back have it; a terminal or a pipe has its own
    encoding, in which what it lacks is escaped. Where `sys.stdout` isn't of that descriptor, as under a test, nothing
    is done.
    """
    printed = sys.stdout
    if not _is_of_descriptor(printed):
        yield
        return
    printed.flush()
    kept = os.dup(1)
    encoding = "utf-8" if stat.S_ISREG(os.fstat(kept).st_mode) else printed.encoding
    ours = open(kept, "w", encoding=encoding, errors="backslashreplace", buffering=1)  # noqa: SIM115 - closed below
    sys.stdout = ours
    os.dup2(2, 1)
    try:
        yield
    finally:
        try:
            ours.flush()
        finally:
            _flush_c()
            sys.stdout = printed
            os.dup2(kept, 1)
            with suppress(OSError):  # nobody reads it any more
                ours.close()


def file_of_output() -> Path | None:
    """Return the file that standard output goes to, as after `> FILE`; None where it's none, or nobody knows which."""
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    except (OSError, ValueError, AttributeError):  # not a real stream, or not on Linux
        return None


def _is_of_descriptor(stream: object) -> bool:
    try:
        return stream is not None and stream.fileno() == 1  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):
        return False


def _flush_c() -> None:
    """Write what code in C has printed and holds back: it would be written when the process ends."""
    with suppress(OSError, TypeError, AttributeError):  # there is no such library by that name, as on Windows
        ctypes.CDLL(None).fflush(None)
