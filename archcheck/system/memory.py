"""The memory that this process may still take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


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
