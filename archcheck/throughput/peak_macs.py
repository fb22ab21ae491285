"""The device's best rate of multiplying matrices, which utilization is a share of."""

from __future__ import annotations

import math
import time
from typing import Literal

import torch

from archcheck.network.devices import synchronize
from archcheck.training.failures import is_out_of_memory

_CPU_SIZES = (256, 512, 1024)
_ACCELERATOR_SIZES = (2048, 4096, 8192)


def measure_peak_macs_per_sec(device: torch.device, precision: Literal["fp32", "bf16"], seconds: float = 0.3) -> float:
    """Measure the best rate of square matrix products, in multiply-adds per second: n³ for an n x n product.

    Torch's settings (threads, TF32) are used as they are. Takes about `seconds`, and the time to load the device's
    libraries; on a slow device only the smaller products are tried, at least one of them.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    sizes: tuple[int, ...] = _CPU_SIZES if device.type == "cpu" else _ACCELERATOR_SIZES
    with torch.inference_mode():
        while True:
            try:
                return _best_rate(sizes, dtype, device, seconds)
            except Exception as error:
                if not is_out_of_memory(error) or sizes[0] == 1:
                    raise
            sizes = tuple(size // 2 for size in sizes)


def _best_rate(sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    """Return the best rate over the first sizes, as many as there is time and memory for, one at least."""
    first = _Product(sizes[0], dtype, device)
    ends = time.perf_counter() + seconds  # from here: the first warm-up loads libraries
    best = first.measure_rate(seconds / len(sizes))
    del first
    for index, size in enumerate(sizes[1:], start=1):
        left = ends - time.perf_counter()
        if 2 * size**3 / best > left:  # one to warm up and one to measure
            break
        try:
            best = max(best, _Product(size, dtype, device).measure_rate(left / (len(sizes) - index)))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
    return best


class _Product:
    """The product of two random square matrices; making it runs it once to warm up."""

    def __init__(self, size: int, dtype: torch.dtype, device: torch.device) -> None:
        # A generator of its own leaves the user's alone. Zeros or ones would draw less power and be multiplied faster.
        generator = torch.Generator(device).manual_seed(0)
        self._size, self._device = size, device
        self._a, self._b = (torch.rand(size, size, generator=generator, dtype=dtype, device=device) for _ in range(2))
        self._out = torch.empty_like(self._a)
        self._measure_sec(1)

    def measure_rate(self, seconds: float) -> float:
        """Return the best rate within about that time, in multiply-adds per second."""
        ends = time.perf_counter() + seconds
        best_sec, count = math.inf, 1
        while best_sec == math.inf or time.perf_counter() < ends:
            sec = self._measure_sec(count)
            if sec > 0:  # a coarse clock may stand still
                best_sec = min(best_sec, sec / count)
            if sec < seconds / 16:  # more at a time, so that the device doesn't wait for Python between two
                count *= 2
        return self._size**3 / best_sec

    def _measure_sec(self, count: int) -> float:
        synchronize(self._device)
        start = time.perf_counter()
        for _ in range(count):
            torch.mm(self._a, self._b, out=self._out)
        synchronize(self._device)
        return time.perf_counter() - start
