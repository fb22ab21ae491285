"""The rate of training steps by wall clock."""

from __future__ import annotations

import time

import torch

from archcheck.network.devices import synchronize


class StepRateTimer:
    """Times the training steps of a run by wall clock, without the run's first: that one compiles and allocates.

    first_step_sec: the seconds of the run's first step; 0 before it ends.
    """

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self._device = device
        self._batch_size = batch_size
        self._num_steps = 0
        self._start = time.perf_counter()
        self._first_step_end: float | None = None
        self.first_step_sec = 0.0

    @property
    def run_sec(self) -> float:
        """Seconds since the end of the run's first step; 0 before."""
        return time.perf_counter() - self._first_step_end if self._first_step_end is not None else 0.0

    def start_epoch(self) -> None:
        """Start counting steps and seconds anew."""
        self._num_steps, self._start = 0, time.perf_counter()

    def count_step(self) -> None:
        """Count a step that the device was asked for; waits for the device at the first of the run."""
        self._num_steps += 1
        if self._first_step_end is None:
            synchronize(self._device)
            self._first_step_end = time.perf_counter()
            self.first_step_sec = self._first_step_end - self._start
            self._num_steps, self._start = 0, self._first_step_end

    def examples_per_sec(self) -> float:
        """Return the rate of this epoch so far; 0 where it had but the run's first step."""
        return self._num_steps * self._batch_size / max(time.perf_counter() - self._start, 1e-9)

    def stop_epoch(self) -> tuple[float, float]:
        """Wait for the device; return the epoch's examples per second and its seconds."""
        synchronize(self._device)
        return self.examples_per_sec(), time.perf_counter() - self._start
