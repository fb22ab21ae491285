"""What code asks of an accelerator that this machine hasn't: nothing is done, or the same on the CPU.

`torch.cuda.synchronize()` waits for nothing, `torch.cuda.FloatTensor(2)` is on the CPU, as `.cuda()` is
(`named_devices`). What has no answer without the device, such as its memory and its capability, raises torch's own
error. Where the machine has the device, torch's module for it is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from types import ModuleType
from typing import Any, Final

import torch

from archcheck.network.devices import count_devices, has_accelerator
from archcheck.network.named_devices import (
    NamedDevice,
    NamedType,
    accelerator_type,
    kind_of,
    noted_at_import,
    tell_named,
)

_KINDS: Final = ("cuda", "xpu", "mps", "mtia")
_DONE: Final = (  # functions that have nothing to do, and no result
    "synchronize empty_cache init set_device set_stream ipc_collect manual_seed manual_seed_all seed seed_all "
    "set_rng_state set_rng_state_all reset_peak_memory_stats reset_max_memory_allocated reset_max_memory_cached "
    "reset_accumulated_memory_stats set_per_process_memory_fraction"
)
_ZERO: Final = (
    "current_device memory_allocated memory_reserved max_memory_allocated max_memory_reserved current_allocated_memory "
    "driver_allocated_memory"
)
_BLOCKS: Final = "device device_of stream StreamContext"  # to be entered by `with`
_RANGES: Final = "range_push range_pop range_start range_end mark"  # of NVTX
_Replaced = tuple[Any, str, Any]


@contextmanager
def accelerators_stood_in() -> Iterator[None]:
    """Let code within the block ask for accelerators that this machine hasn't."""
    before = [(holder, name, getattr(holder, name)) for holder, name, _ in _stand_ins()]
    for holder, name, stand_in in _stand_ins():
        setattr(holder, name, stand_in)
    try:
        yield
    finally:
        for holder, name, own in before:
            setattr(holder, name, own)


@contextmanager
def importing_without_accelerators() -> Iterator[None]:
    """Let modules be imported that put tensors on an accelerator, where there is none."""
    if has_accelerator():
        yield
        return
    with accelerators_stood_in(), noted_at_import():
        yield


@cache
def _stand_ins() -> tuple[_Replaced, ...]:
    """Return by holder and name what is put in the place of what."""
    absent = [kind for kind in _KINDS if hasattr(torch, kind) and not count_devices(kind)]
    found = [one for kind in absent for one in _of_kind(kind, getattr(torch, kind))]
    if "cuda" in absent:
        found += _functions("cuda", torch.cuda.nvtx, _RANGES, lambda: None)
        found += [*_types("cuda", torch.cuda), *_types("cuda", torch.cuda.sparse)]
    return tuple(found) if has_accelerator() else (*found, *_of_any())


# ---------------------------------------------------------------------------------------------- torch.cuda and the like


class _Named:
    """Tells that an accelerator is named when one is made; `kind` is the accelerator's."""

    kind: str

    def __init__(self, *_: Any, **__: Any) -> None:
        tell_named(NamedDevice(self.kind))


class _Block(_Named):
    """Does nothing around what is inside: `with torch.cuda.device(0)`."""

    def __enter__(self) -> _Block:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Event(_Named):
    """Something on a stream that has happened already."""

    def record(self, *_: Any) -> None:
        """Do nothing: what came before is done."""

    wait = synchronize = record

    def query(self) -> bool:
        """Return that it has happened."""
        return True

    def elapsed_time(self, _: Any) -> float:
        """Return that no time has passed."""
        return 0.0


class _Stream(_Named, torch.Stream):
    """The one stream of the CPU, on which everything is done at once."""

    def __new__(cls, *_: Any, **__: Any) -> _Stream:
        return super().__new__(cls, device="cpu")

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_stream(self, _: Any) -> None:
        """Do nothing: what came before is done."""

    def wait_event(self, _: Any) -> None:
        """Do nothing: what came before is done."""

    def record_event(self, event: Any = None) -> Any:
        """Return an event that has happened."""
        return event or getattr(torch, self.kind).Event()


def _of_kind(kind: str, module: ModuleType) -> Iterator[_Replaced]:
    """Yield what stands in for functions and classes of torch's module for a kind of accelerator."""
    block, event, stream = (type(one.__name__, (one,), {"kind": kind}) for one in (_Block, _Event, _Stream))
    classes = {**dict.fromkeys(_BLOCKS.split(), block), "Stream": stream, "Event": event}
    yield from ((module, name, one) for name, one in classes.items() if hasattr(module, name))
    yield from _functions(kind, module, _DONE, lambda: None)
    yield from _functions(kind, module, _ZERO, lambda: 0)
    yield from _functions(kind, module, "current_stream default_stream", stream)
    yield from _functions(kind, module, "get_rng_state", torch.get_rng_state)
    yield from _functions(kind, module, "get_rng_state_all", list)


def _functions(kind: str, module: ModuleType, names: str, answer: Callable[[], Any]) -> Iterator[_Replaced]:
    """Yield functions that give an answer where torch's own can't do without the accelerator."""
    for name in names.split():
        if hasattr(module, name):
            yield module, name, _answering(kind, getattr(module, name), answer)


def _answering(kind: str, own: Callable[..., Any], answer: Callable[[], Any]) -> Callable[..., Any]:
    @wraps(own)
    def asked(*args: Any, **kwargs: Any) -> Any:
        try:
            return own(*args, **kwargs)
        except (RuntimeError, AssertionError):  # torch without the driver, and torch that isn't built for it
            tell_named(NamedDevice(kind))
            return answer()

    return asked


def _types(kind: str, holder: ModuleType) -> Iterator[_Replaced]:
    """Yield what stands in for the tensor types of an accelerator."""
    for name in [one for one in dir(holder) if one.endswith("Tensor")]:
        own = getattr(holder, name)
        found = accelerator_type(own)
        if found is not None:
            yield holder, name, NamedType(name, (), {"kind": kind, "own": own, "on_cpu": found[1]})


# ---------------------------------------------------------------------------------------------- torch, told a device


def names_accelerator(generator: torch.Generator) -> bool:
    """Return whether a generator was made for an accelerator that this machine hasn't."""
    return type(generator) is _NamedGenerator


class _Generators(type(torch.Generator)):  # type: ignore[misc]
    """Makes every generator of random numbers one of `torch.Generator`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, torch._C.Generator)


class _NamedGenerator(torch.Generator, metaclass=_Generators):
    """Stands for `torch.Generator`: those of an accelerator are of the CPU."""

    def __new__(cls, device: Any = "cpu") -> Any:
        """Make a generator, one of this class only where an accelerator was named."""
        if kind_of(device) == "cpu":
            return torch._C.Generator(device)
        tell_named(NamedDevice(kind_of(device)))
        return super().__new__(cls, "cpu")  # type: ignore[call-arg]

    def __init__(self, device: Any = "cpu") -> None:
        pass


def _of_any() -> Iterator[_Replaced]:
    """Yield what stands in for what may name any device, where there is no accelerator at all."""
    set_type, set_device = torch.set_default_tensor_type, torch.set_default_device
    restore = torch.serialization.default_restore_location

    def set_default_tensor_type(wanted: Any) -> None:
        found = accelerator_type(wanted)
        if found is not None:
            tell_named(NamedDevice(found[0], is_default=True))
        set_type(wanted if found is None else found[1])

    def set_default_device(device: Any) -> None:
        if device is None or kind_of(device) not in _KINDS:
            set_device(device)
        else:
            tell_named(NamedDevice(kind_of(device), is_default=True))

    def default_restore_location(storage: Any, location: Any) -> Any:
        if kind_of(location) not in _KINDS:
            return restore(storage, location)  # type: ignore[no-untyped-call]
        tell_named(NamedDevice(kind_of(location)))
        return storage

    def cuda(storage: Any, *_: Any, **__: Any) -> Any:
        tell_named(NamedDevice("cuda"))
        return storage

    yield torch, "set_default_tensor_type", set_default_tensor_type
    yield torch, "set_default_device", set_default_device
    yield torch, "Generator", _NamedGenerator
    yield torch.serialization, "default_restore_location", default_restore_location
    yield torch.UntypedStorage, "cuda", cuda
    yield from _functions("cuda", torch.accelerator, "synchronize", lambda: None)
    yield from _functions("cuda", torch.accelerator, "current_device_index", lambda: 0)
