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

import archcheck
from archcheck.text.words import clip

_VALUES: Final = re.compile(
    r"\bmeta\b|SparseMeta|\.item\(\)|data-dependent|(fake|abstract) (impl|kernel|tensor)|same device|numpy",
    re.IGNORECASE,
)
_NO_KERNEL: Final = re.compile(
    r"(?P<op>\w+::\w+)[\w.]*(: attempted to run this operator with Meta|: We could not find the (fake|abstract) impl"
    r"|: while attempting to run this operator with Meta)"
    r"|no (fake|abstract) impl registered for <CustomOpDef\((?P<custom>\w+::\w+)"
    r"|Could not run '(?P<unrun>\w+::\w+)[\w.]*' with arguments from the '\w*Meta"
)
_NO_SHAPE: Final = re.compile(
    r"(?P<op>\w+::\w+)[\w.]* \(.*\): You're trying to run this operator with meta"
    r"|register_meta function for torch\.(?P<function>\w+)\(\)"
)
_READS: Final = (
    (re.compile(r"\.item\(\)|_local_scalar_dense"), "Tensor.item()"),
    (re.compile(r"numpy"), "Tensor.numpy()"),
    (re.compile(r"Cannot copy out of meta"), "a copy of a tensor's values"),
    (re.compile(r"cannot repeat_interleave"), "torch.repeat_interleave()"),
)
_MAX_REASON: Final = 120
_GRADIENTS: Final = re.compile(r"does not require grad|grad_fn|requires_grad|require grad", re.IGNORECASE)
_TORCH: Final = str(Path(torch.__file__).parent) + os.sep
_OURS: Final = str(Path(archcheck.__file__).parent) + os.sep
_ZOO: Final = os.path.join(_OURS, "zoo") + os.sep
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
    if isinstance(error, SystemExit):
        return not needs_values(error)
    return type(error) is RuntimeError and not needs_values(error) and _raised_by_torch(error)


def first_line(error: BaseException) -> str:
    """The message's first line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def reason(error: BaseException) -> str:
    """Why the meta device would not do, in a few words: `data-dependent: aten.nonzero (model.py:33)`."""
    told = next(filter(None, map(_known_reason, chain(error))), None)
    line = where(error, libraries=False) or where(error)
    at = f" ({line.rpartition('site-packages' + os.sep)[2]})" if line else ""
    return (told or clip(f"on meta: {text_of(error)}", _MAX_REASON)) + at


def _known_reason(error: BaseException) -> str | None:
    text = str(error)
    if match := _NO_SHAPE.search(text):
        return f"data-dependent: {_op_name(match['op'] or 'aten::' + match['function'])}"
    if match := _NO_KERNEL.search(text):
        op = match["op"] or match["custom"] or match["unrun"]
        return f"{'data-dependent' if _is_data_dependent(op) else 'no meta kernel'}: {_op_name(op)}"
    for pattern, what in _READS:
        if pattern.search(text):
            return f"needs values: {what}"
    return clip(f"needs values: {first_line(error)}", _MAX_REASON) if _VALUES.search(text) else None


def _op_name(op: str) -> str:
    return op.replace("aten::_", "aten::").replace("aten::", "aten.")


def _is_data_dependent(op: str) -> bool:
    """Whether torch says of its own operation that what comes out depends on values."""
    namespace, _, name = op.partition("::")
    if namespace != "aten":
        return False
    packet = getattr(torch.ops.aten, name)
    tags = {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags}
    return bool(tags & {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


def text_of(error: BaseException | None) -> str:
    """`RuntimeError: shapes cannot be multiplied`."""
    if error is None:
        return ""
    line = first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def where(error: BaseException, libraries: bool = True) -> str | None:
    """`net.py:33`: the innermost line that is neither torch's nor ours nor Python's, nor perhaps any library's."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = frame.filename
        if not _is_internal(path) and (libraries or "site-packages" not in path):
            return f"{_shortened(path)}:{frame.lineno}"
    return None


def _is_internal(path: str) -> bool:
    if path.startswith((_TORCH, _OURS)):
        return not path.startswith(_ZOO)
    return path.startswith("<") or (path.startswith(_STANDARD_LIBRARY) and "site-packages" not in path)


def _shortened(path: str) -> str:
    here = os.getcwd() + os.sep
    return path[len(here) :] if path.startswith(here) else path
