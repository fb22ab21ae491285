"""The memory that this process may still take, and what becomes of what it has freed."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup")
_DECIDED = ("MALLOC_", "GLIBC_TUNABLES")
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # options of glibc's `mallopt`


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for what is allocated next, where nobody has decided; other systems do as they do.

    By default it gives large blocks back to the system, and each activation of a network is then built up anew, page by
    page: a sixth of the time that a network of images takes.
    """
    mallopt = _function_of_libc("mallopt")
    if mallopt is not None and not any(name.startswith(_DECIDED) for name in os.environ):
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20)):
            mallopt(option, value)


def give_back_freed_memory(least_bytes: int = 0) -> None:
    """Give what has been kept back to the system, where this process holds more than so much."""
    trim = _function_of_libc("malloc_trim")
    if trim is not None and _resident_bytes() > least_bytes:
        trim(0)


def _resident_bytes() -> int:
    """Return the memory that this Linux process holds."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _function_of_libc(name: str) -> Any:
    """Return a function of the C library that this process runs on; None where it has none of this name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def available_bytes() -> int | None:
    """Return the memory that can be taken without swapping, within the limit of the process's cgroup.

    Returns:
        Bytes, 0 at least; None where the system doesn't tell.
    """
    known = [free for free in (_system_available_bytes(), _cgroup_available_bytes()) if free is not None]
    return max(0, min(known)) if known else None


def _system_available_bytes() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    if sys.platform != "win32":
        try:
            return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (ValueError, OSError):
            pass
    return None


def _cgroup_available_bytes() -> int | None:
    """Return what the limit of the cgroup leaves, by version 2 or 1; None where there is no limit."""
    for folder, limit, used, cached in (
        (_CGROUP, "memory.max", "memory.current", "inactive_file"),
        (_CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # Cached files count as used, but are dropped when memory is needed.
            taken = int((folder / used).read_text()) - int(stat.get(cached, 0))
            return int((folder / limit).read_text()) - taken
        except (OSError, ValueError):  # no such version of cgroups, or the limit is "max"
            continue
    return None
