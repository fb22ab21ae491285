"""The most memory that a step holds at a time, by torch's allocators."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler import profile

from archcheck.network.devices import counts_peak_memory, peak_memory_bytes, reset_peak_memory, synchronize


def measure_peak_memory_bytes(
    step: Callable[[], object], device: torch.device, resident: Iterable[Tensor] = ()
) -> int | None:
    """Measure the most memory that tensors on the device hold while `step` runs once, in bytes.

    An accelerator: its allocator's own maximum, where it counts that, whatever is held from before included. The CPU
    has no such counter: there it is what `step` allocates, minus what of that it frees, at its highest, by the
    memory events of torch's profiler, on top of the tensors in `resident`. Those are the ones that are held all along:
    parameters, buffers, the optimizer's state, the batch, and no gradients where the step drops the old ones first.
    Scratch space that oneDNN and MKL take from the system isn't seen.

    Returns:
        None where it can't be measured: on MPS, while another profiler is running (the step isn't run then), or where
        the step itself profiles.
    """
    if device.type != "cpu":
        return _peak_counted_bytes(step, device) if counts_peak_memory(device) else None
    if _is_profiling():
        return None
    held_bytes = resident_bytes(resident)
    transient_bytes = _transient_bytes(step)
    return None if transient_bytes is None else held_bytes + transient_bytes


def resident_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes that tensors hold: whole storages, each counted once however many tensors share it."""
    storages = (tensor.untyped_storage() for tensor in tensors if tensor.layout is torch.strided)
    return sum({(storage.device, storage.data_ptr()): storage.nbytes() for storage in storages}.values())


def _peak_counted_bytes(step: Callable[[], object], device: torch.device) -> int:
    synchronize(device)
    reset_peak_memory(device)
    step()
    synchronize(device)
    return peak_memory_bytes(device)


def _is_profiling() -> bool:
    """Whether a profiler is running, in this thread or another: a second one would break it."""
    return torch._C._autograd._profiler_enabled() or torch.autograd.profiler._is_profiler_enabled


def _transient_bytes(step: Callable[[], object]) -> int | None:
    profiler = profile(use_kineto=True, profile_memory=True)
    if not _start(profiler):
        return None
    try:
        step()
    finally:
        stopped = _stop(profiler)
    allocations = _allocations(profiler.kineto_results) if stopped else []
    # the first two are of the tensor that `_start` makes and drops
    return _highest_bytes(allocations[2:]) if allocations else None


def _start(profiler: profile) -> bool:
    from_before = torch.empty(1, device="cpu")
    with _silenced_stderr():
        try:
            profiler.__enter__()  # type: ignore[no-untyped-call]
        except RuntimeError:
            return False
        del from_before  # the profiler warns of the first block that it doesn't know: here rather than in the step
        torch.empty(1, device="cpu")
    return True


def _stop(profiler: profile) -> bool:
    with _silenced_stderr():
        try:
            profiler.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        except RuntimeError:  # the step has stopped it
            return False
    return True


def _allocations(results: Any) -> list[tuple[int, int]]:
    """Return the CPU's allocations as (address, bytes), in order of time; blocks that are freed have negative sizes."""
    found, pending = [], list(reversed(results.experimental_event_tree()))
    while pending:
        event = pending.pop()
        pending.extend(reversed(event.children))
        if event.tag.name == "Allocation" and event.extra_fields.device.type == "cpu":
            found.append((event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size))
    return [(address, size_bytes) for _, address, size_bytes in sorted(found, key=lambda entry: entry[0])]


def _highest_bytes(allocations: list[tuple[int, int]]) -> int:
    """Return the most bytes that are held at a time of these allocations.

    Freeing a block from before isn't counted: the profiler knows of it only if it was running at its allocation.
    """
    sizes: dict[int, int] = {}
    held = highest = 0
    for address, size_bytes in allocations:
        if size_bytes > 0:
            sizes[address] = size_bytes
            held += size_bytes
            highest = max(highest, held)
        else:
            held -= sizes.pop(address, 0)
    return highest


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Drop what is written to stderr: Kineto writes there from C++ when it starts, stops or finds no GPU."""
    try:
        stderr = os.dup(2)
    except OSError:  # closed: nothing to silence
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(sink)
