"""Causes of a failed build or forward pass: missing values, missing gradients, or a network that is wrong."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

import archcheck
from archcheck.network.exceptions import first_line, raised_outside_torch, type_and_first_line
from archcheck.text.words import clip

_VALUES: Final = re.compile(
    r"\bmeta\b|SparseMeta|\.item\(\)|data-dependent|(fake|abstract) (impl|kernel|tensor)"
    r"|same device|numpy",
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
_CONFIRMED: Final = "_archcheck_raised_on_the_cpu"
_GRADIENTS: Final = re.compile(r"does not require grad|grad_fn|requires_grad|require grad", re.IGNORECASE)
_TORCH: Final = str(Path(torch.__file__).parent) + os.sep
_OURS: Final = str(Path(archcheck.__file__).parent) + os.sep


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it was raised from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def needs_values(error: BaseException) -> bool:
    """Whether the meta device is to blame."""
    return any(isinstance(e, NotImplementedError) or _VALUES.search(str(e)) for e in chain(error))


def tells_of_values(message: str) -> bool:
    """Whether an error's type and message, as a crash has them, blame the meta device."""
    # Autocast doesn't know the meta device, and TorchScript's errors tell no reason.
    is_silent = "unsupported scalarType" in message or "TorchScript interpreter" in message
    told = message.startswith("NotImplementedError") or is_silent
    return told or _VALUES.search(message) is not None


def may_be_caused_by_meta(error: BaseException) -> bool:
    """Whether a constructor may have failed for the meta device: torch itself raised, or it reads like that."""
    return needs_values(error) or any(_raised_by_torch(e) for e in chain(error))


def _raised_by_torch(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith((_TORCH, _OURS))


def needs_gradients(error: BaseException) -> bool:
    """Whether a forward pass asked for gradients, which are off by default."""
    return any(_GRADIENTS.search(str(e)) for e in chain(error))


def confirm(error: BaseException) -> None:
    """Note of an error that the CPU raises it, too: then nothing has to run there once more."""
    vars(error)[_CONFIRMED] = True


def fails_on_any_device(error: BaseException) -> bool:
    """Whether the error would be raised on any device: the CPU has raised it as well, or the network gives up."""
    if isinstance(error, SystemExit):
        return not needs_values(error)
    return any(_CONFIRMED in vars(e) for e in chain(error))


def fallback_reason(error: BaseException) -> str:
    """Return why the meta device would not do, in a few words: `data-dependent: aten.nonzero (model.py:33)`."""
    told = next(filter(None, map(_known_reason, chain(error))), None)
    line = raised_outside_torch(error, own_only=True) or raised_outside_torch(error)
    at = f" ({line.rpartition('site-packages' + os.sep)[2]})" if line else ""
    return (told or clip(f"on meta: {type_and_first_line(error)}", _MAX_REASON)) + at


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
    """Whether torch says of its own operation that the shape of its result depends on values."""
    namespace, _, name = op.partition("::")
    if namespace != "aten":
        return False
    packet = getattr(torch.ops.aten, name)
    tags = {tag for overload in packet.overloads() for tag in getattr(packet, overload).tags}
    return bool(tags & {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})
