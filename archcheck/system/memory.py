"""The memory that this process may use."""

from __future__ import annotations


def available_bytes() -> int | None:
    """The memory that can be had without swapping; None where the system doesn't tell."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
