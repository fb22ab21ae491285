"""Why a build or a forward pass died: for want of values, for want of gradients, or because the network is wrong."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

import archcheck.meta

_VALUES: Final = re.compile(r"\bmeta\b|\.item\(\)|data-dependent|fake (kernel|tensor)|same device|numpy", re.IGNORECASE)
_GRADIENTS: Final = re.compile(r"does not require grad|grad_fn|requires_grad|require grad", re.IGNORECASE)
_TORCH: Final = str(Path(torch.__file__).parent) + os.sep
_OURS: Final = str(Path(archcheck.meta.__file__).parent)
_STANDARD_LIBRARY: Final = sysconfig.get_path("stdlib") + os.sep


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def needs_values(error: BaseException) -> bool:
    """Whether the meta device is to blame."""
    return any(isinstance(e, NotImplementedError) or _VALUES.search(str(e)) for e in chain(error))


def may_be_metas(error: BaseException) -> bool:
    """Whether a constructor may have died of the meta device: torch itself raised, or it reads like that."""
    return needs_values(error) or any(_raised_by_torch(e) for e in chain(error))


def _raised_by_torch(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith((_TORCH, _OURS))


def wants_gradients(error: BaseException) -> bool:
    """Whether a forward pass asked for gradients, which are off by default."""
    return any(_GRADIENTS.search(str(e)) for e in chain(error))


def is_genuine(error: BaseException) -> bool:
    """Whether it would have died on any device: torch itself refused the shapes, or the network calls itself."""
    if isinstance(error, RecursionError):
        return True
    return type(error) is RuntimeError and not needs_values(error) and _raised_by_torch(error)


def first_line(error: BaseException) -> str:
    """The message's first line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def reason(error: BaseException) -> str:
    """Why the meta device would not do."""
    return f"forward needs values: {first_line(error)}" if needs_values(error) else f"on meta: {text_of(error)}"


def text_of(error: BaseException | None) -> str:
    """`RuntimeError: shapes cannot be multiplied`."""
    if error is None:
        return ""
    line = first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def where(error: BaseException) -> str | None:
    """`net.py:33`: the innermost line that is neither torch's nor ours nor Python's."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = frame.filename
        if not _is_internal(path):
            return f"{_shortened(path)}:{frame.lineno}"
    return None


def _is_internal(path: str) -> bool:
    if path.startswith((_TORCH, _OURS)) or path == os.path.join(os.path.dirname(_OURS), "trace.py"):
        return True
    return path.startswith("<") or (path.startswith(_STANDARD_LIBRARY) and "site-packages" not in path)


def _shortened(path: str) -> str:
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path
