"""What a user's code raised, in one line, and the line that did."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from archcheck.text.paths import path_below
from archcheck.text.words import clip

MAX_MESSAGE = 300  # characters of what an exception says

_LIBRARIES = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # the package, wherever it is installed


def raised_at(error: BaseException, rootdir: Path | None = None, *, own_only: bool = False) -> str | None:
    """The user's line that raised, as `file.py:3`: the innermost one that belongs to no installed library.

    Where a library's own code is to blame the line is its own, or None with `own_only`.
    """
    folders = () if rootdir is None else (rootdir,)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{path_below(Path(error.filename), *folders)}:{error.lineno or 1}"
    frames = list(_frames(error.__traceback__))
    own = [frame for frame in frames if not frame[0].startswith(_LIBRARIES)]
    if not own and (own_only or not frames):
        return None
    file, line = (own or frames)[-1]
    return f"{path_below(Path(file), *folders)}:{line}"


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    """File and line of each call on the way to an error, those of this module and of the import system left out."""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != importlib.__file__ and not file.startswith("<") and not _is_ours(file):
            yield file, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_ours(file: str) -> bool:
    """A file of archcheck's, other than the networks that come with it: wherever it is installed."""
    return file.startswith(_OURS) and not file.startswith(f"{_OURS}zoo{os.sep}")


def one_line(error: BaseException) -> str:
    """`KeyError: 'x'`: type and message without line breaks, and not too long."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    except Exception:  # the user's class of exception may fail in its turn
        message = ""
    # Nor with anything that would move a terminal's cursor, or that a file in UTF-8 can't hold.
    message = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)
    message = clip(message, MAX_MESSAGE)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line_with_place(error: BaseException, rootdir: Path | None = None) -> str:
    """`KeyError: 'x' (at data.py:3)`: what was raised, and the user's line that did."""
    where = raised_at(error, rootdir)
    return f"{one_line(error)} (at {where})" if where else one_line(error)
