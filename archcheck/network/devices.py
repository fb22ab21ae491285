"""What torch knows of its devices, of whatever kind: which there are, what they hold, what they can.

Nothing else in archcheck asks a device for its kind, but whether it is the CPU. What only some kinds of device have is
asked for as such: by the function of torch's module for that kind (`torch.cuda`, `torch.xpu`, `torch.npu`, ...).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch

from archcheck.errors import NotMeasured, UsageError
from archcheck.system.memory import available_bytes
from archcheck.text.paths import path_below
from archcheck.text.words import counted

CPU: Final = torch.device("cpu")
_UNKNOWN_MEMORY_BYTES: Final = 2 << 30  # taken to be free where nobody tells
_SHARES_HOST_MEMORY: Final = ("mps",)  # such a device has nothing to gain from pinned memory
_NO_VALUES: Final = ("meta",)


# ---------------------------------------------------------------------------------------------- choosing


def choose_device(name: str) -> torch.device:
    """Return the device of a name: `auto` (the accelerator, else the CPU), or any that torch knows (`cuda`, `xpu:1`).

    Raises:
        NotMeasured: there is no such device on this machine.
        UsageError: torch knows no device by that name.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return CPU if accelerator is None else torch.device(accelerator.type, 0)
    device = parse_device_name(name)
    index, count = device.index or 0, count_devices(device.type)
    if index >= count:
        kind = f"{device.type.upper()} device"
        raise NotMeasured(f"no device {name!r}: this machine has {counted(count, kind) if count else f'no {kind}'}")
    return CPU if device.type == "cpu" else torch.device(device.type, index)


def parse_device_name(name: str) -> torch.device:
    """Return the device that torch takes a name for, whether the machine has it or not.

    Raises:
        UsageError: torch knows none, or one that computes no values.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    # An index beyond 127 becomes another one.
    if device is None or str(device) != name or device.type in _NO_VALUES:
        here = ", ".join(devices_here())
        raise UsageError(f"expected auto or a device that torch knows, found {name!r}; this machine has {here}")
    return device


def devices_here() -> list[str]:
    """Return the devices of this machine as users name them, with their own names: `cpu`, `cuda:0 (NVIDIA H200)`."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    found = [torch.device(accelerator.type, index) for index in range(count_devices(accelerator.type))]
    return ["cpu", *(f"{one} ({device_name(one)})" for one in found)]


def count_devices(kind: str) -> int:
    """Return how many devices of a kind (`cpu`, `cuda`, `xpu`) this machine has, for this process."""
    count = getattr(_module(torch.device(kind)), "device_count", None)
    return 0 if count is None else int(count())


def has_accelerator() -> bool:
    """Return whether this machine has an accelerator of the kind that torch is built for."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator is not None and count_devices(accelerator.type) > 0


def device_name(device: torch.device) -> str:
    """Return the name of a device in reports: `cpu`, `NVIDIA H200`; its kind where it has none, as `mps`."""
    name = None if device.type == "cpu" else getattr(_module(device), "get_device_name", None)
    return device.type if name is None else str(name(device))


def _module(device: torch.device) -> Any:
    """Return torch's module for a kind of device; None where this build of torch has none."""
    try:
        return torch.get_device_module(device)
    except RuntimeError:
        return None


# ---------------------------------------------------------------------------------------------- waiting


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work that was queued on it."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


# ---------------------------------------------------------------------------------------------- memory


def release(device: torch.device) -> None:
    """Free the device memory that torch caches but nothing uses, for other processes to take."""
    empty_cache = getattr(_module(device), "empty_cache", None)
    if empty_cache is not None:
        empty_cache()


def free_memory_bytes(device: torch.device | str) -> int:
    """Return the free memory of a device: the CPU's within the limit of its cgroup; 2 GiB where nobody tells."""
    device = torch.device(device)
    module = _module(device)
    if hasattr(module, "mem_get_info"):
        return int(module.mem_get_info(device)[0])
    if hasattr(module, "recommended_max_memory"):  # of memory that is the host's, too
        return max(0, int(module.recommended_max_memory()) - int(module.driver_allocated_memory()))
    available = available_bytes() if device.type == "cpu" or device.type in _SHARES_HOST_MEMORY else None
    return _UNKNOWN_MEMORY_BYTES if available is None else available


def counts_peak_memory(device: torch.device) -> bool:
    """Whether the device's allocator tells the most that it has held."""
    module = _module(device)
    return hasattr(module, "max_memory_allocated") and hasattr(module, "reset_peak_memory_stats")


def reset_peak_memory(device: torch.device) -> None:
    """Have the allocator of a device that counts count anew, from what it holds now."""
    _module(device).reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most that the allocator of a device that counts has held since `reset_peak_memory`."""
    return int(_module(device).max_memory_allocated(device))


def cache_bytes(device: torch.device) -> int | None:
    """Return the size of an accelerator's last cache; None where that can't be told."""
    properties = getattr(_module(device), "get_device_properties", None)
    size = None if properties is None else getattr(properties(device), "L2_cache_size", None)
    return None if size is None else int(size)


def copies_from_pinned_memory(device: torch.device) -> bool:
    """Whether copies from pinned host memory go on beside other work: to torch's accelerator, if its memory is its own.

    Torch pins for that one, whatever other devices there are.
    """
    accelerator = torch.accelerator.current_accelerator()
    return accelerator is not None and accelerator.type == device.type and device.type not in _SHARES_HOST_MEMORY


# ---------------------------------------------------------------------------------------------- computing


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in double precision; MPS and some GPUs of Intel don't."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Return a context that computes in a dtype where that is sound, or in each tensor's own where that is None.

    Raises:
        RuntimeError: torch has no autocast for this kind of device.
    """
    if not torch.amp.is_autocast_available(device.type):
        if dtype is None:
            return nullcontext()
        raise RuntimeError(f"torch has no autocast for {device.type}")
    # Without the cache: within another autocast, it would keep the weights of the first step for all others.
    return torch.autocast(device.type, dtype, enabled=dtype is not None, cache_enabled=False)


def computes_by_autocast() -> bool:
    """Whether autocast is on, for the CPU or the accelerator that torch was built for."""
    accelerator = torch.accelerator.current_accelerator()
    kinds = {"cpu", "cuda"} if accelerator is None else {"cpu", "cuda", accelerator.type}
    return any(torch.is_autocast_enabled(kind) for kind in kinds)


# ---------------------------------------------------------------------------------------------- graphs


_WAITS: Final = "called a synchronizing"  # operation of CUDA; torch's words
_OF_THE_MODE: Final = "Synchronization debug mode is a prototype"


class GraphTools:
    """What a device needs to have operations captured, and run again as a graph; of CUDA, ROCm and XPU."""

    def __init__(self, module: Any, graph_class: Callable[[], Any], device: torch.device) -> None:
        self._module, self._graph_class, self._device = module, graph_class, device

    def make_graph(self) -> Any:
        """Return a graph with nothing in it; once something is captured, `replay()` runs it."""
        return self._graph_class()

    @contextmanager
    def capture(self, graph: Any) -> Iterator[None]:
        """Keep the operations of the block in a graph, without running them."""
        capturing = self._module.graph
        # What threads that prepare batches do meanwhile is no part of it, and allowed.
        accepts = "capture_error_mode" in inspect.signature(capturing).parameters
        current = self._module.current_stream(self._device)
        try:
            with capturing(graph, capture_error_mode="thread_local") if accepts else capturing(graph):
                yield
        except BaseException:
            self._module.set_stream(current)  # torch leaves its own stream where the end of a capture fails
            raise

    @contextmanager
    def noted_waits(self) -> Iterator[list[str]]:
        """Note the lines of code of the block that wait for the device, as `file.py:3`; none where no one tells (XPU).

        A capture with one of them fails, and leaves torch's allocator and generators as if it were still going on.
        """
        lines: list[str] = []
        set_mode = getattr(self._module, "set_sync_debug_mode", None)
        if set_mode is None:
            yield lines
            return
        before = self._module.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            set_mode("warn")
            try:
                yield lines
            finally:
                set_mode(before)
        for one in caught:
            if _WAITS in str(one.message):
                lines.append(f"{path_below(Path(one.filename))}:{one.lineno}")
            elif _OF_THE_MODE not in str(one.message):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Run operations on a stream of its own, after all that was queued before, and before all that comes after."""
        stream, current = self._module.Stream(self._device), self._module.current_stream(self._device)
        stream.wait_stream(current)
        with self._module.stream(stream):
            yield
        current.wait_stream(stream)


def graph_tools(device: torch.device) -> GraphTools | None:
    """Return what a device has for graphs; None where torch has no graphs for it."""
    module = _module(device)
    graph_class = getattr(module, f"{device.type.upper()}Graph", None)
    is_complete = all(hasattr(module, name) for name in ("graph", "stream", "Stream", "current_stream", "set_stream"))
    return None if graph_class is None or not is_complete else GraphTools(module, graph_class, device)


# ---------------------------------------------------------------------------------------------- random numbers


def start_generators(device: torch.device) -> None:
    """Have a device make its random generators, so that their states can be kept."""
    init = getattr(_module(device), "init", None)
    if init is not None:
        init()


def generator_states() -> Mapping[str, Any]:
    """Return the states of the generators of all accelerators that are in use, for `restore_generators`."""
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None:
        return {}
    module = _module(accelerator)
    is_in_use = next((name for name in ("is_initialized", "is_available") if hasattr(module, name)), None)
    if is_in_use is None or not getattr(module, is_in_use)():
        return {}
    if hasattr(module, "get_rng_state_all"):
        return {accelerator.type: module.get_rng_state_all()}
    return {accelerator.type: module.get_rng_state()} if hasattr(module, "get_rng_state") else {}


def restore_generators(states: Mapping[str, Any]) -> None:
    """Put the generators of accelerators back into states that `generator_states` gave."""
    for kind, state in states.items():
        module = _module(torch.device(kind))
        (module.set_rng_state_all if hasattr(module, "set_rng_state_all") else module.set_rng_state)(state)
