"""The calls of every module of a network, noted while they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.meta.layers import SHORTCUTS
from archcheck.meta.modes import is_transformed
from archcheck.meta.tensors import REFUSED
from archcheck.records import (
    CallRecord,
    ForwardRecord,
    MappingRecord,
    OpaqueRecord,
    SequenceRecord,
    TensorRecord,
    ValueRecord,
)

_MAX_DEPTH: Final = 16  # of nested containers; a list that contains itself ends here

_get_state = torch._C._get_torch_function_state
_set_state = torch._C._set_torch_function_state
_OFF: Final = torch._C._TorchFunctionState.ALL_DISABLED


class Recorder:
    """Watches one network.

    `macs` is the running total of the forward pass in `forward`; `uncounted` names the operations of all passes whose
    multiply-adds are unknown.

    A shortcut may answer for a whole layer; the layer's own forward runs where it declines, and where `shortcuts` is
    off (on the CPU, or for gradients).
    """

    def __init__(self, shortcuts: bool = True) -> None:
        self.macs = 0
        self.uncounted: set[str] = set()
        self.forward = ForwardRecord(sizes={})
        self.failed_in = ""
        self._failure: BaseException | None = None
        self._shortcuts: Mapping[type, Callable[..., Any]] = SHORTCUTS if shortcuts else {}
        self._counts: dict[str, int] = {}
        self._finished = 0
        self._tensors: dict[tuple[tuple[int, ...], torch.dtype], TensorRecord] = {}

    def begin(self, sizes: Mapping[str, int]) -> ForwardRecord:
        """Start a forward pass."""
        self.macs = 0
        self.forward = ForwardRecord(sizes=dict(sizes))
        self._counts.clear()
        self._finished = 0
        self._failure, self.failed_in = None, ""
        return self.forward

    def blame(self, error: BaseException) -> str:
        """The name of the innermost module that raised `error`."""
        return self.failed_in if self._failure is error else ""

    # ------------------------------------------------------------------------------------------ calls

    def entry(self, model: nn.Module) -> Callable[..., Any]:
        """What to call for a forward pass; inside TorchScript, nothing can be watched."""
        return self._recorded("", model) if isinstance(model, torch.jit.ScriptModule) else model

    @contextmanager
    def watching(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Put this recorder between each module and its forward; afterwards the modules are as they were."""
        modules = {name: m for name, m in modules.items() if not isinstance(m, torch.jit.ScriptModule)}
        own = {name: vars(module).get("forward") for name, module in modules.items()}
        hooked = {name: module for name, module in modules.items() if module._forward_hooks}
        handles = [module.register_forward_hook(self._amended(name)) for name, module in hooked.items()]
        for name, module in modules.items():
            vars(module)["forward"] = self._recorded(name, module)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for name, module in modules.items():
                if own[name] is None:
                    vars(module).pop("forward", None)
                else:
                    vars(module)["forward"] = own[name]

    def _amended(self, name: str) -> Callable[..., None]:
        """A hook behind a module's own hooks, which may have replaced the output."""

        def hook(_: nn.Module, __: Any, out: Any) -> None:
            call = next(call for call in reversed(self.forward.calls) if call.name == name)
            call.output = self.record(out)

        return hook

    def _recorded(self, name: str, module: nn.Module) -> Callable[..., Any]:
        shortcut = None if "forward" in vars(module) else self._shortcuts.get(type(module))
        run = _eager(module)
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
                    out = _attempt(shortcut, self, module, *args)
            finally:
                _set_state(state)
            if out is NotImplemented:
                try:
                    out = run(*args, **kwargs)
                except BaseException as error:
                    self._note_failure(name, error)
                    raise
            _set_state(_OFF)
            try:
                call.output = record(out)
                call.macs = self.macs - before
                call.finished = self._finished
                self._finished += 1
            finally:
                _set_state(state)
            return out

        return forward

    def _note_failure(self, name: str, error: BaseException) -> None:
        if self._failure is not error:  # raised anew, or seen for the first time
            self._failure, self.failed_in = error, name

    # ------------------------------------------------------------------------------------------ values

    def record(self, value: Any, depth: int = 0) -> ValueRecord:
        """A value without its tensors."""
        if type(value) is Tensor or isinstance(value, Tensor):
            return self._tensor(value)
        if depth > _MAX_DEPTH:
            return OpaqueRecord(type(value).__name__)
        try:
            return self._parts(value, depth + 1)
        except Exception:  # a user's container may be anything
            return OpaqueRecord(type(value).__name__)

    def _parts(self, value: Any, depth: int) -> ValueRecord:
        if isinstance(value, tuple | list):
            return SequenceRecord(tuple(self.record(item, depth) for item in value), _field_names(value))
        if isinstance(value, Mapping):
            return MappingRecord({str(key): self.record(item, depth) for key, item in value.items()})
        if is_dataclass(value) and not isinstance(value, type):
            return MappingRecord({part.name: self.record(getattr(value, part.name), depth) for part in fields(value)})
        return OpaqueRecord(type(value).__name__)

    def _tensor(self, value: Tensor) -> ValueRecord:
        try:
            key = (value.shape, value.dtype)
        except RuntimeError:  # a nested tensor has no shape
            return OpaqueRecord(type(value).__name__)
        record = self._tensors.get(key)
        if record is None:
            record = self._tensors[key] = TensorRecord(tuple(value.shape), str(value.dtype).removeprefix("torch."))
        return record


def _attempt(shortcut: Callable[..., Any], *args: Any) -> Any:
    try:
        out = shortcut(*args)
    except Exception:  # arguments of another kind than expected: torch has the better message
        return NotImplemented
    return NotImplemented if out is REFUSED else out


def _eager(module: nn.Module) -> Callable[..., Any]:
    """The module's forward, without torch.compile."""
    if isinstance(module, torch.jit.ScriptModule):
        return module
    inner = module._modules.get("_orig_mod")
    return inner if type(module).__name__ == "OptimizedModule" and inner is not None else module.forward


def _field_names(value: Any) -> tuple[str, ...] | None:
    names = getattr(value, "_fields", None)  # a namedtuple
    if names is None and type(value).__module__ == "torch.return_types":
        names = getattr(type(value), "__match_args__", None)
    return tuple(names) if isinstance(names, tuple) else None
