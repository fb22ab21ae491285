"""What devices do at best: published figures of GPUs, and measured ones of the machine at hand.

The published ones are those of the makers' data sheets and white papers that stand beside them, without sparsity, which
training doesn't have. A figure that isn't published isn't guessed.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import torch

from archcheck.errors import UsageError
from archcheck.network.devices import cache_bytes, device_name, synchronize
from archcheck.network.torch_state import seeded
from archcheck.text.words import did_you_mean
from archcheck.throughput.peak_macs import measure_peak_macs_per_sec
from archcheck.throughput.speed_measurement import num_timing_threads

HERE: Final = "here"
_COPIED_BYTES: Final = 2**27
_PRECISIONS: Final[tuple[Literal["fp32", "bf16"], ...]] = ("fp32", "bf16")
_TERA: Final = 1e12
_MEGA: Final = 10**6


@dataclass(frozen=True, slots=True)
class Peaks:
    """What a device does at best.

    bandwidth: bytes per second from and to its memory. cache_bytes: what fits into its last cache, and may come from
    there; None where that isn't known. fp32, tf32, bf16: multiply-adds per second, of dense matrices; None where it has
    no such units. source: where the figures are from, and of when.
    """

    name: str
    bandwidth: float
    cache_bytes: int | None
    fp32: float
    tf32: float | None
    bf16: float | None
    source: str

    def macs_per_sec(self, what: str, dtype: str) -> float:
        """Return the best rate for convolutions or matrix products, as torch's settings have them in float32."""
        if dtype == "bfloat16":
            return self.bf16 or self.fp32
        allowed = torch.backends.cudnn if what == "convolution" else torch.backends.cuda.matmul
        return (self.tf32 if allowed.allow_tf32 else None) or self.fp32


def _published(
    name: str,
    terabytes: float,
    cache_mb: int,
    fp32: float,
    tf32: float | None,
    bf16: float | None,
    source: str,
) -> Peaks:
    """Return figures as data sheets have them: TB/s, and TFLOPS, of which a multiply-add is two."""
    tf32, bf16 = (None if one is None else one * _TERA / 2 for one in (tf32, bf16))
    return Peaks(name, terabytes * _TERA, cache_mb * _MEGA, fp32 * _TERA / 2, tf32, bf16, source)


PUBLISHED: Final = {
    one.name: one
    for one in (
        _published("NVIDIA H200", 4.8, 50, 67, 495, 990, "NVIDIA H200 data sheet, 2023"),
        _published("NVIDIA H100 80GB HBM3", 3.35, 50, 67, 495, 990, "NVIDIA H100 data sheet, SXM, 2022"),
        _published("NVIDIA H100 PCIe", 2.0, 50, 51, 378, 756, "NVIDIA H100 data sheet, PCIe, 2022"),
        _published("NVIDIA A100-SXM4-80GB", 2.039, 40, 19.5, 156, 312, "NVIDIA A100 data sheet, 2021"),
        _published("NVIDIA A100 80GB PCIe", 1.935, 40, 19.5, 156, 312, "NVIDIA A100 data sheet, 2021"),
        _published("NVIDIA A100-SXM4-40GB", 1.555, 40, 19.5, 156, 312, "NVIDIA A100 data sheet, 2020"),
        _published("NVIDIA A100-PCIE-40GB", 1.555, 40, 19.5, 156, 312, "NVIDIA A100 data sheet, 2020"),
        _published("NVIDIA L4", 0.3, 48, 30.3, 60, 121, "NVIDIA L4 data sheet, 2023"),
        _published("NVIDIA GeForce RTX 4090", 1.008, 72, 82.6, 82.6, 165.2, "NVIDIA Ada white paper 2.01, 2023"),
        _published("Tesla T4", 0.32, 4, 8.1, None, None, "NVIDIA T4 data sheet, 2019"),
        _published("Tesla V100-SXM2-32GB", 0.9, 6, 15.7, None, None, "NVIDIA V100 data sheet, 2020"),
        _published("Tesla V100-SXM2-16GB", 0.9, 6, 15.7, None, None, "NVIDIA V100 data sheet, 2020"),
    )
}


def find_peaks(name: str) -> Peaks:
    """Return the published peaks of a device, by its name or a part of it that only one has; `here` are measured.

    Raises:
        UsageError: nobody knows such a device, or several.
    """
    if name.lower() in (HERE, "cpu"):
        return measure_peaks(torch.device("cpu"))
    exact = {one.lower(): one for one in PUBLISHED}
    if name.lower() in exact:
        return PUBLISHED[exact[name.lower()]]
    words = name.lower().replace("-", " ").split()
    found = [one for one in PUBLISHED if words and all(word in one.lower().replace("-", " ").split() for word in words)]
    if len(found) == 1:
        return PUBLISHED[found[0]]
    if found:
        raise UsageError(f"--on: {name!r} may be {', '.join(found)}")
    told = f"no peaks are known of {name!r}{did_you_mean(name, PUBLISHED)}"
    raise UsageError(f"--on: {told}; known are {', '.join(PUBLISHED)}, and `{HERE}`, which is measured")


def measure_peaks(device: torch.device) -> Peaks:
    """Measure what a device of this machine does at best: copies, and products of large matrices."""
    fp32, bf16 = (measure_peak_macs_per_sec(device, precision, 0.15) for precision in _PRECISIONS)
    return Peaks(
        device_name(device), _measure_bandwidth(device), _cache_bytes(device), fp32, None, bf16, "measured just now"
    )


def peaks_of(device: torch.device, fp32_macs_per_sec: float) -> Peaks:
    """Return the published peaks of a device at hand, or else what it does now."""
    published = PUBLISHED.get(device_name(device))
    if published is not None:
        return published
    bandwidth, cache = _bandwidth_when_timed(device), _cache_bytes(device)
    return Peaks(device_name(device), bandwidth, cache, fp32_macs_per_sec, None, fp32_macs_per_sec, "measured")


@cache
def _bandwidth_when_timed(device: torch.device) -> float:
    """Measure the best rate of copying once, with as many threads as steps are timed with."""
    with seeded(0, device, num_timing_threads(device)):
        return _measure_bandwidth(device)


def _measure_bandwidth(device: torch.device, seconds: float = 0.1) -> float:
    """Measure the best rate of copying what fits into no cache, in bytes read and written per second."""
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best, ends = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < ends:
        synchronize(device)
        start = time.perf_counter()
        target.copy_(source)
        synchronize(device)
        best = min(best, max(time.perf_counter() - start, 1e-9))
    return 2 * _COPIED_BYTES / best


def _cache_bytes(device: torch.device) -> int | None:
    """Return the size of a device's last cache; None where that can't be told."""
    if device.type != "cpu":
        return cache_bytes(device)
    try:
        found = re.search(r"^cache size\s*: (\d+) KB$", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    except OSError:  # only Linux tells
        return None
    return None if found is None else int(found[1]) * 1024
