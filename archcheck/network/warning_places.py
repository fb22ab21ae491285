"""Warnings told at the line of a user's code that causes them, rather than at ours by which that calls torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from archcheck.network.exceptions import is_ours, is_torchs_or_pythons


@contextmanager
def warnings_where_caused() -> Iterator[None]:
    """Tell what torch warns about within the block where it would be told without us, and each thing once.

    A warning goes by the line of Python code that called torch, or the one above it, which is ours where a mode of ours
    passes the call on.
    """
    show = warnings.showwarning
    outside = sys._getframe(2)  # behind `contextmanager`'s own
    told: set[tuple[str, str, int]] = set()

    def show_there(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        if is_ours(filename):
            filename, lineno = _cause(sys._getframe(1), outside) or (filename, lineno)
        key = (str(message), filename, lineno)
        if key not in told:
            told.add(key)
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = show_there
    try:
        yield
    finally:
        if warnings.showwarning is show_there:
            warnings.showwarning = show


def _cause(frame: FrameType | None, outside: FrameType) -> tuple[str, int] | None:
    """Return the innermost line below `outside` that is neither ours nor torch's, or else the innermost of torch's."""
    torchs = None
    while frame is not None and frame is not outside:
        file = frame.f_code.co_filename
        if not is_ours(file):
            place = (file, frame.f_lineno)
            if not is_torchs_or_pythons(file):
                return place
            torchs = torchs or place
        frame = frame.f_back
    return torchs
