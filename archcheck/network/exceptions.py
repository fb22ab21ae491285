"""An exception of a user's code in one line, and the line of code that raised it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from archcheck.text.paths import path_below
from archcheck.text.words import clip

LIBRARIES = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
MAX_MESSAGE = 300  # characters of what an exception says

_TORCHSCRIPT = "the TorchScript interpreter"
_SITE_PACKAGES = "site-packages"
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_DUMPED = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # the package, wherever it is installed


def raised_at(error: BaseException, rootdir: Path | None = None, *, own_only: bool = False) -> str | None:
    """Return the user's line that raised, as `file.py:3`: the innermost one that belongs to no installed library.

    Where all lines are libraries', return the innermost of those, or None with `own_only`.
    """
    folders = () if rootdir is None else (rootdir,)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{path_below(Path(error.filename), *folders)}:{error.lineno or 1}"
    frames = list(frames_of(error))
    own = [frame for frame in frames if not frame[0].startswith(LIBRARIES)]
    if not own and (own_only or not frames):
        return None
    file, line = (own or frames)[-1]
    return f"{path_below(Path(file), *folders)}:{line}"


def line_of_dump(dump: str, rootdir: Path) -> str | None:
    """Return where a process was when faulthandler wrote its stacks, as `file.py:3, in forward`; None without any.

    It's the user's innermost line of the thread that was running, or else the innermost of all.
    """
    stack = dump.rpartition("\nCurrent thread ")[2].partition("\n\n")[0]
    frames = _DUMPED.findall(stack)
    own = [frame for frame in frames if not frame[0].startswith((*LIBRARIES, _OURS))]
    if not frames:
        return None
    file, line, function = (own or frames)[0]
    return f"{path_below(Path(file), rootdir)}:{line}, in {function}"


def raised_outside_torch(error: BaseException, *, own_only: bool = False) -> str | None:
    """Return the innermost line that is neither torch's nor Python's nor ours, as `net.py:33`.

    It may be another library's; with `own_only` it is the user's own. None where there is none.
    """
    for file, line in reversed(list(frames_of(error))):
        if not is_torchs_or_pythons(file) and not (own_only and _SITE_PACKAGES in file):
            return f"{path_below(Path(file))}:{line}"
    return None


def is_torchs_or_pythons(file: str) -> bool:
    """Whether a file is torch's or of the standard library."""
    import torch

    torchs = str(Path(torch.__file__).parent) + os.sep
    return file.startswith(torchs) or (file.startswith(_STANDARD_LIBRARY) and _SITE_PACKAGES not in file)


def frames_of(error: BaseException) -> Iterator[tuple[str, int]]:
    """Yield file and line of each call on the way to an error, without archcheck's and the import system's."""
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != importlib.__file__ and not file.startswith("<") and not is_ours(file):
            yield file, traceback.tb_lineno
        traceback = traceback.tb_next


def is_ours(file: str) -> bool:
    """Whether a file is archcheck's, and none of the networks that come with it."""
    return file.startswith(_OURS) and not file.startswith(f"{_OURS}zoo{os.sep}")


def one_line(error: BaseException) -> str:
    """Return `KeyError: 'x'`: type and message without line breaks, and not too long."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    except Exception:  # the user's class of exception may fail in its turn
        message = ""
    # Without anything that would move a terminal's cursor, or that a file in UTF-8 can't hold.
    message = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)
    message = clip(message, MAX_MESSAGE)
    return _with_type(error, message)


def type_and_first_line(error: BaseException) -> str:
    """Return `RuntimeError: shapes cannot be multiplied`: the type and the message's first line as it is."""
    return _with_type(error, first_line(error))


def first_line(error: BaseException) -> str:
    """Return the message's first line, behind TorchScript's own account of where; empty where there is no message."""
    lines = str(error).strip().splitlines()
    if lines and lines[0].startswith(f"The following operation failed in {_TORCHSCRIPT}"):
        told = [line.removeprefix("RuntimeError: ") for line in lines if line.startswith("RuntimeError: ")]
        lines = [f"{told[-1]} (in {_TORCHSCRIPT})", *lines] if told else lines
    return lines[0] if lines else ""


def _with_type(error: BaseException, message: str) -> str:
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line_with_place(error: BaseException, rootdir: Path | None = None) -> str:
    """Return `KeyError: 'x' (at data.py:3)`: the exception and the user's line that raised it."""
    where = raised_at(error, rootdir)
    return f"{one_line(error)} (at {where})" if where else one_line(error)
