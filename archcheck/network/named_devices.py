"""The CPU in the place of the accelerators that a network's code names: `.cuda()`, `device="cuda"`.

What runs on the CPU runs there as a whole then, on machines with an accelerator and on those without.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from archcheck.network.devices import has_accelerator
from archcheck.network.running_code import calling_frame, line_of

_ACCELERATORS: Final = ("cuda", "xpu", "mps", "npu", "hpu", "mtia", "ipu")
_KIND: Final = "|".join(_ACCELERATORS)
_TYPE: Final = re.compile(rf"\btorch\.(?P<kind>{_KIND})\.(?P<sparse>sparse\.)?(?P<name>\w+Tensor)\b")
_CPU: Final = torch.device("cpu")


# ---------------------------------------------------------------------------------------------- who names what


@dataclass(frozen=True, slots=True)
class NamedDevice:
    """A kind of accelerator that code names.

    is_default: it is made the default device, on which everything is made that isn't told where.
    """

    kind: str
    is_default: bool = False


_listener: ContextVar[Callable[[NamedDevice], None] | None] = ContextVar("listener", default=None)
_at_import: dict[str, dict[str, NamedDevice]] = {}  # by file and line; per process, as sys.modules is
_put_at_import: dict[int, StorageWeakRef] = {}  # memory that was put on an accelerator, by address; per process, too


@contextmanager
def told_of_named_devices(listener: Callable[[NamedDevice], None]) -> Iterator[None]:
    """Call `listener` within the block whenever code gets the CPU for an accelerator that it names."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell_named(device: NamedDevice) -> None:
    """Tell whoever listens that the line that is running names an accelerator."""
    listener = _listener.get()
    if listener is not None:
        listener(device)


@contextmanager
def noted_at_import() -> Iterator[None]:
    """Put on the CPU what modules put on an accelerator while they're imported, and remember it, and their lines."""
    with _ImportOnCpu(), told_of_named_devices(_note_import):
        yield


def _note_import(device: NamedDevice) -> None:
    frame = calling_frame()
    if frame is not None:
        _at_import.setdefault(frame.f_code.co_filename, {})[line_of(frame)] = device


def was_put_at_import(tensor: Tensor) -> bool:
    """Return whether a module put a tensor on an accelerator while it was imported."""
    weak = None if tensor.layout is not torch.strided else _put_at_import.get(tensor.untyped_storage()._cdata)
    return weak is not None and not weak.expired()  # type: ignore[no-untyped-call]


def _put(made: Any) -> Any:
    """Return what was made for an accelerator, and remember it if that was while a module was imported."""
    if _listener.get() is _note_import and isinstance(made, Tensor) and made.layout is torch.strided:
        weak = StorageWeakRef(made.untyped_storage())  # type: ignore[no-untyped-call]
        _put_at_import[made.untyped_storage()._cdata] = weak
    return made


def named_at_import(file: str) -> Mapping[str, NamedDevice]:
    """Return by line the accelerators that a file named while it was imported."""
    return _at_import.get(file, {})


# ---------------------------------------------------------------------------------------------- the CPU instead


class NamedType(type):
    """Stands for a tensor type of an accelerator, as `torch.cuda.FloatTensor`: a call of it makes a tensor on the CPU.

    Attributes:
        kind: the accelerator's.
        own: the type that it stands for.
        on_cpu: the same type of the CPU.
    """

    kind: str
    own: Any
    on_cpu: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a tensor."""
        tell_named(NamedDevice(cls.kind))
        return _put(cls.on_cpu(*args, **kwargs))

    def __instancecheck__(cls, instance: Any) -> bool:
        """Return whether a tensor is on the accelerator."""
        return isinstance(instance, cls.own)

    def __getattr__(cls, name: str) -> Any:
        """Return what the type that it stands for has."""
        return getattr(cls.own, name)


def accelerator_type(wanted: Any) -> tuple[str, Any] | None:
    """Return the kind of accelerator of a tensor type, or the name of one, and that type of the CPU."""
    if isinstance(wanted, NamedType):
        return wanted.kind, wanted.on_cpu
    match = _TYPE.search(str(wanted))  # a type's is <class 'torch.cuda.FloatTensor'>
    found = None if match is None else getattr(torch.sparse if match["sparse"] else torch, match["name"], None)
    return None if match is None or found is None else (match["kind"], found)


def on_cpu(func: Any, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return a function of torch and its arguments with the CPU for an accelerator that they name."""
    if func in _moving():
        tell_named(NamedDevice(func.__name__))
        return Tensor.to, (args[0], _CPU), {}
    if func is Tensor.type and len(args) > 1 and (found := accelerator_type(args[1])) is not None:
        tell_named(NamedDevice(found[0]))
        return func, (args[0], found[1], *args[2:]), kwargs
    if func is Tensor.to and len(args) > 1 and _is_accelerator(args[1]):
        tell_named(NamedDevice(kind_of(args[1])))
        args = (args[0], _CPU, *args[2:])
    if "device" in kwargs and _is_accelerator(kwargs["device"]):
        tell_named(NamedDevice(kind_of(kwargs["device"])))
        kwargs = {**kwargs, "device": _CPU}
    if func is Tensor.record_stream:
        return _nothing, (), {}
    if _pins(func, kwargs) and not has_accelerator():
        if func is Tensor.pin_memory:
            return Tensor.to, (args[0], _CPU), {}
        kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    return func, args, kwargs


def names_device(func: Any, kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call of torch may name a device: most don't, and this is asked of every one."""
    return "device" in kwargs or func in _naming() or "pin_memory" in kwargs


class AcceleratorsOnCpu(TorchFunctionMode):
    """Lets code that names an accelerator run on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func, args, kwargs = on_cpu(func, args, kwargs or {})
        return func(*args, **kwargs)


class _ImportOnCpu(TorchFunctionMode):
    """Lets modules be imported that put tensors on an accelerator, and remembers these tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        asked = (func, args, kwargs or {})
        taken = on_cpu(*asked)
        out = taken[0](*taken[1], **taken[2])
        return out if all(map(operator.is_, asked, taken)) else _put(out)


@cache
def _moving() -> frozenset[Any]:
    return frozenset(method for kind in _ACCELERATORS if (method := getattr(Tensor, kind, None)) is not None)


@cache
def _naming() -> frozenset[Any]:
    return _moving() | {Tensor.to, Tensor.type, Tensor.pin_memory, Tensor.record_stream}


def _nothing() -> None:
    """Do nothing: what runs on the CPU is done when the next thing begins."""


def _pins(func: Any, kwargs: Mapping[str, Any]) -> bool:
    return func is Tensor.pin_memory or bool(kwargs.get("pin_memory"))


def kind_of(device: Any) -> str:
    """Return the kind of device that a device, its name or its number is of."""
    if isinstance(device, torch.device):
        return device.type
    if isinstance(device, str):
        return device.partition(":")[0]
    return torch.device(device).type if type(device) is int and device >= 0 else "cuda"


def _is_accelerator(device: Any) -> bool:
    return type(device) is int or (isinstance(device, torch.device | str) and kind_of(device) in _ACCELERATORS)
