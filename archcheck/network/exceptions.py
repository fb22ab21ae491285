"""An exception of a user's code in one line, and the line of code that raised it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import Final

from archcheck.text.paths import path_below
from archcheck.text.words import clip

LIBRARIES = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
MAX_MESSAGE = 300  # characters of what an exception says

_TORCHSCRIPT = "the TorchScript interpreter"
_FAILED = f"The following operation failed in {_TORCHSCRIPT}"
_SITE_PACKAGES = "site-packages"
_STANDARD_LIBRARY = sysconfig.get_path("stdlib") + os.sep
CRASH: Final = "Fatal Python error: "  # of faulthandler
_PRINTED = re.compile(r'^  File "(.+)", line (\d+),? in (.+)$', re.MULTILINE)  # by faulthandler, or as a traceback
_CARRIED = re.compile(r"Caught \S+ (in .+)\.\nOriginal Traceback \(most recent call last\):\n")
_NO_ACCELERATOR = re.compile(
    r"Found no NVIDIA driver|not compiled with \w+ enabled|No CUDA GPUs|NVIDIA driver on your system is too old"
    r"|CUDA driver version is insufficient|without MPS backend|device type could not be determined"
)
_MODULE = re.compile(r"^(?:\w+\.)+(?=\w+(?::|$))")  # of a type, as tracebacks write it
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
    frames = _PRINTED.findall(stack)
    own = [frame for frame in frames if not frame[0].startswith((*LIBRARIES, _OURS))]
    if not frames:
        return None
    file, line, function = (own or frames)[0]
    return f"{path_below(Path(file), rootdir)}:{line}, in {function}"


def place_of_crash(errors: str, rootdir: Path) -> str:
    """Return where a process was that crashed, as ` at file.py:3, in forward`, from what it wrote to standard error."""
    place = line_of_dump(errors.partition(CRASH)[2], rootdir)
    return "" if place is None else f" at {place}"


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
    """Yield file and line of each call on the way to an error, without archcheck's and the import system's.

    Those of a worker process or thread that the error comes from are the last.
    """
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != importlib.__file__ and not file.startswith("<") and not is_ours(file):
            yield file, traceback.tb_lineno
        traceback = traceback.tb_next
    for file, line, _ in _PRINTED.findall(_traceback_of_worker(error)):
        if not is_ours(file):
            yield file, int(line)


def _traceback_of_worker(error: BaseException) -> str:
    """Return the traceback that an error brings along as text: torch's in its message, Python's pools' in its cause."""
    text = _text_of(error)
    if _CARRIED.match(text):
        return text
    text = getattr(error.__cause__, "tb", "")
    return text if isinstance(text, str) else ""


def is_ours(file: str) -> bool:
    """Whether a file is archcheck's, and none of the networks that come with it."""
    return file.startswith(_OURS) and not file.startswith(f"{_OURS}zoo{os.sep}")


def one_line(error: BaseException) -> str:
    """Return `KeyError: 'x'`: type and message without line breaks, and not too long.

    Of an error that torch raises again for a worker it's `KeyError: 'x', in DataLoader worker process 0`.
    """
    original = _raised_in_worker(error)
    if original is not None:
        return _on_one_line(original)
    message = error.msg if isinstance(error, SyntaxError) else _text_of(error)
    return _with_type(error, _on_one_line(message))


def _raised_in_worker(error: BaseException) -> str | None:
    """Return type, message and place of what a worker raised; None where the error is no copy of such a one."""
    text = _text_of(error)
    carried = _CARRIED.match(text)
    if carried is None:
        return None
    frames = [frame.end() for frame in _PRINTED.finditer(text)]
    after = dropwhile(lambda line: line.startswith(" "), text[max(frames, default=carried.end()) :].splitlines()[1:])
    return f"{_MODULE.sub('', ' '.join(after))}, {carried[1]}"


def _on_one_line(message: str) -> str:
    """Return a message without line breaks, nor what would move a cursor or doesn't fit in UTF-8, and not too long."""
    message = " ".join(message.split())
    return clip("".join(one if one.isprintable() else ascii(one)[1:-1] for one in message), MAX_MESSAGE)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the user's class of exception may fail in its turn
        return ""


def type_and_first_line(error: BaseException) -> str:
    """Return `RuntimeError: shapes cannot be multiplied`: the type and the message's first line as it is."""
    return _raised_in_worker(error) or _with_type(error, first_line(error))


def is_reason_lost(error: BaseException) -> bool:
    """Return whether TorchScript says where it failed and not why, as it does of what torch's modes raise."""
    return first_line(error).startswith(_FAILED)


def first_line(error: BaseException) -> str:
    """Return the message's first line, behind TorchScript's own account of where; empty where there is no message."""
    lines = str(error).strip().splitlines()
    if lines and lines[0].startswith(_FAILED):
        told = [line.removeprefix("RuntimeError: ") for line in lines if line.startswith("RuntimeError: ")]
        lines = [f"{told[-1]} (in {_TORCHSCRIPT})", *lines] if told else lines
    return lines[0] if lines else ""


def absent_accelerator(message: str) -> str | None:
    """Return what to do where an error says that torch was asked for an accelerator that isn't there; else None."""
    if _NO_ACCELERATOR.search(message) is None:
        return None
    return "this machine has no such device: ask torch.cuda.is_available() first, or verify where there is one"


def _with_type(error: BaseException, message: str) -> str:
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def one_line_with_place(error: BaseException, rootdir: Path | None = None) -> str:
    """Return `KeyError: 'x' (at data.py:3)`: the exception and the user's line that raised it."""
    where = raised_at(error, rootdir)
    return f"{one_line(error)} (at {where})" if where else one_line(error)
