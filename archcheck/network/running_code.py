"""The line of a network's code that is running."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import FrameType

from archcheck.network.exceptions import is_ours, is_torchs_or_pythons
from archcheck.text.paths import path_below


def calling_frame() -> FrameType | None:
    """Return the innermost frame of a network's code: neither torch's, nor Python's, nor ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not (file.startswith("<") or is_ours(file) or is_torchs_or_pythons(file)):
            return frame
        frame = frame.f_back
    return None


def current_line() -> str | None:
    """Return the line of a network's code that is running, as `net.py:12`."""
    frame = calling_frame()
    return None if frame is None else line_of(frame)


def line_of(frame: FrameType) -> str:
    """Return the line that a frame is at, as `net.py:12`."""
    return f"{path_below(Path(frame.f_code.co_filename))}:{frame.f_lineno}"


def source_line(frame: FrameType) -> str:
    """Return the text of the line that a frame is at; empty where there's no source."""
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno)
