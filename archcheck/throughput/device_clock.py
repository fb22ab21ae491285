"""A clock that stands still while another process has the processor."""

from __future__ import annotations

import os
import time

import torch

from archcheck.training.devices import synchronize

_WAITED = "/proc/thread-self/schedstat"  # nanoseconds run, nanoseconds waited for a processor, times that it ran


class DeviceClock:
    """Seconds as a device's own work takes them.

    On a CPU under Linux the time that the calling thread spent waiting for a processor is left out: that is how busy
    the machine is, and nothing of the network's. Sleeping, and waiting for a disk or a lock, count. Elsewhere it is the
    clock on the wall.

    To be used by the thread that made it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._file = _open(_WAITED) if device.type == "cpu" else None

    def now(self) -> float:
        """Seconds since some moment, when the device has done all that it was asked for."""
        synchronize(self._device)
        waited = self._waited_sec()
        while True:
            now, before = time.perf_counter(), waited
            waited = self._waited_sec()
            if waited == before:  # or the processor was taken away between the two looks
                return now - waited

    def _waited_sec(self) -> float:
        return 0.0 if self._file is None else int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _open(path: str) -> int | None:
    """The file where the system counts that; None where it doesn't."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    if len(os.pread(file, 64, 0).split()) == 3:
        return file
    os.close(file)
    return None
