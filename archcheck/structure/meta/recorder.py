"""Recording the calls of every module of a network while they happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward
from archcheck.network.objects import attributes_of, is_closed
from archcheck.structure.meta.layers import SHORTCUTS
from archcheck.structure.meta.tensors import PLAIN_TYPES, REFUSED, is_transformed
from archcheck.structure.records import (
    CallRecord,
    EmptyRecord,
    ForwardRecord,
    MappingRecord,
    OpaqueRecord,
    SequenceRecord,
    TensorRecord,
    ValueRecord,
    holds_tensor,
)

_MAX_DEPTH: Final = 16  # of nested containers; a list that contains itself ends here
_PLAIN_VALUES: Final = (type(None), str, bytes, bool, int, float, complex, torch.dtype, torch.device)

_get_state = torch._C._get_torch_function_state
_set_state = torch._C._set_torch_function_state
_OFF: Final = torch._C._TorchFunctionState.ALL_DISABLED


class Recorder(ForwardWatcher):
    """Records the calls of one network's modules.

    `macs` is the running total of the forward pass in `forward`; `uncounted` names the operations of all passes whose
    multiply-adds are unknown.

    A shortcut may answer for a whole layer; the layer's own forward runs where it declines, and where `shortcuts` is
    off (on the CPU, or for gradients).
    """

    def __init__(self, shortcuts: bool = True) -> None:
        super().__init__()
        self.macs = 0
        self.uncounted: set[str] = set()
        self.forward = ForwardRecord(sizes={})
        self._shortcuts: Mapping[type, Callable[..., Any]] = SHORTCUTS if shortcuts else {}
        self._counts: dict[str, int] = {}
        self._finished = 0
        self._seen: set[int] = set()  # objects in the value that is being recorded, which may refer to each other
        self._tensors: dict[tuple[tuple[int, ...], torch.dtype], TensorRecord] = {}

    def begin(self, sizes: Mapping[str, int]) -> ForwardRecord:
        """Start the record of another forward pass."""
        self.macs = 0
        self.forward = ForwardRecord(sizes=dict(sizes))
        self._counts.clear()
        self._finished = 0
        self.forget_failure()
        return self.forward

    # ------------------------------------------------------------------------------------------ calls

    def note_final_output(self, name: str, out: Any) -> None:
        """Note the output of a module's last call as the module's own hooks have left it."""
        call = next((call for call in reversed(self.forward.calls) if call.name == name), None)
        if call is not None:  # a module's own `__call__` need not call its forward
            call.output = self.record(out)

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return what is called in the place of a module's forward: a shortcut, or the forward itself."""
        shortcut = None if "forward" in vars(module) else self._shortcuts.get(type(module))
        run = uncompiled_forward(module)
        counts, record = self._counts, self.record

        def forward(*args: Any, **kwargs: Any) -> Any:
            out = NotImplemented
            state = _get_state()
            _set_state(_OFF)  # reading shapes here is no call of the network's
            try:
                index = counts.get(name, 0)
                counts[name] = index + 1
                call = CallRecord(name, index)
                self.forward.calls.append(call)
                before = self.macs
                if shortcut is not None and not kwargs and not is_transformed():
                    out = _try_shortcut(shortcut, self, module, *args)
            finally:
                _set_state(state)
            if out is NotImplemented:
                try:
                    out = run(*args, **kwargs)
                except BaseException as error:
                    self.note_failure(name, error)
                    raise
            _set_state(_OFF)
            try:
                call.output = record(out)
                call.macs = int(self.macs - before)  # a kernel size may be of NumPy
                call.finished = self._finished
                self._finished += 1
            finally:
                _set_state(state)
            return out

        return forward

    # ------------------------------------------------------------------------------------------ values

    def record(self, value: Any, depth: int = 0) -> ValueRecord:
        """Return the record of a value, without its tensors."""
        if type(value) is Tensor or isinstance(value, Tensor):
            return self._tensor(value)
        if depth > _MAX_DEPTH:
            return OpaqueRecord(type(value).__name__)
        if depth == 0:
            self._seen.clear()
        try:
            return self._parts(value, depth + 1)
        except Exception:  # a user's container may be anything
            return OpaqueRecord(type(value).__name__)

    def _parts(self, value: Any, depth: int) -> ValueRecord:
        if isinstance(value, tuple | list | deque):
            if not value:
                return EmptyRecord("()" if isinstance(value, tuple) else "[]")
            return SequenceRecord(tuple(self.record(item, depth) for item in value), _field_names(value))
        if isinstance(value, Mapping):
            if not value:
                return EmptyRecord("{}")
            return MappingRecord({str(key): self.record(item, depth) for key, item in value.items()})
        if is_dataclass(value) and not isinstance(value, type):
            return MappingRecord({part.name: self.record(getattr(value, part.name), depth) for part in fields(value)})
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> ValueRecord:
        """Return the attributes of an object that hold tensors; private ones are its own business."""
        if isinstance(value, _PLAIN_VALUES) or is_closed(value) or id(value) in self._seen:
            return OpaqueRecord(type(value).__name__)
        self._seen.add(id(value))
        attributes = {name: item for name, item in attributes_of(value).items() if not name.startswith("_")}
        parts = {name: self.record(item, depth) for name, item in attributes.items()}
        held = {name: part for name, part in parts.items() if holds_tensor(part)}
        return MappingRecord(held, type(value).__name__) if held else OpaqueRecord(type(value).__name__)

    def _tensor(self, value: Tensor) -> ValueRecord:
        if type(value) not in PLAIN_TYPES and not all(type(size) is int for size in _shape(value)):
            return OpaqueRecord(type(value).__name__)  # a jagged tensor has as many sizes as rows
        try:
            key = (value.shape, value.dtype)
        except RuntimeError:  # a nested tensor has no shape
            return OpaqueRecord("nested Tensor")
        record = self._tensors.get(key)
        if record is None:
            record = self._tensors[key] = TensorRecord(tuple(value.shape), str(value.dtype).removeprefix("torch."))
        return record


def _shape(tensor: Tensor) -> Sequence[Any]:
    try:
        return tuple(tensor.shape)
    except Exception:  # a user's kind of tensor may be anything
        return (None,)


def _try_shortcut(shortcut: Callable[..., Any], *args: Any) -> Any:
    try:
        out = shortcut(*args)
    except Exception:  # arguments of another kind than expected: torch has the better message
        return NotImplemented
    return NotImplemented if out is REFUSED else out


def _field_names(value: Any) -> tuple[str, ...] | None:
    names = getattr(value, "_fields", None)  # a namedtuple
    if names is None and type(value).__module__ == "torch.return_types":
        names = getattr(type(value), "__match_args__", None)
    return tuple(names) if isinstance(names, tuple) else None
