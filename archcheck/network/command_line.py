"""The command line that a user's code sees while it's imported and builds a network: its own, not archcheck's."""

from __future__ import annotations

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
