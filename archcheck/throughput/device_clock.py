"""A clock that doesn't count the time that other processes had the processor."""

from __future__ import annotations

import os
import time

import torch

from archcheck.network.devices import synchronize

_SCHEDSTAT = "/proc/thread-self/schedstat"  # nanoseconds run, nanoseconds waited for a processor, times that it ran


class DeviceClock:
    """A clock for the work of a device.

    On a CPU under Linux, the time that the calling thread spent waiting for a processor is left out: it depends on how
    busy the machine is, not on the network. Sleeping, and waiting for a disk or a lock, count. Elsewhere this is the
    wall clock.

    A clock may only be used by the thread that made it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._file = _open(_SCHEDSTAT) if device.type == "cpu" else None

    def now(self) -> float:
        """Return the seconds since some fixed moment, once the device has finished all queued work."""
        synchronize(self._device)
        waited = self._waited_sec()
        while True:
            now, before = time.perf_counter(), waited
            waited = self._waited_sec()
            if waited == before:  # else the processor was taken away between the two readings
                return now - waited

    def _waited_sec(self) -> float:
        return 0.0 if self._file is None else int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _open(path: str) -> int | None:
    """Open the file in which the system counts the waiting; None where it doesn't."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    if len(os.pread(file, 64, 0).split()) == 3:
        return file
    os.close(file)
    return None
