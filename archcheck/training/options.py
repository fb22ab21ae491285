"""How specs are trained on this machine: what the command line says, torch not needed to say it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from archcheck.errors import UsageError

TrainKind: TypeAlias = Literal["auto", "quick", "full", "off"]

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY_UNITS = {"ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How specs are trained on this machine.

    kind: the recipe; `auto` is the full one on an accelerator and the quick one elsewhere.
    device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    seed: instead of the recipe's.
    data_dir: where data sets are; download: whether missing ones may be fetched into it.
    checkpoints: where each spec gets a folder with its best network.
    data_budget_bytes: the most of a data set that may be resident on the device; None: a quarter of its free memory.
    spec_roots: folders that specs lie in; below `checkpoints` a spec's folder is named by its path from there.
    num_threads: of torch on the CPU; None: as it is.
    """

    kind: TrainKind = "auto"
    device: str = "auto"
    seed: int | None = None
    data_dir: Path | None = None
    download: bool = False
    checkpoints: Path | None = None
    data_budget_bytes: int | None = None
    spec_roots: tuple[Path, ...] = ()
    num_threads: int | None = None


def parse_device(text: str) -> str:
    """A device's name; whether it exists is known when something is to run there. Raises UsageError."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", text):
        raise UsageError(f"expected a device: auto, cpu, cuda, cuda:N or mps, found {text!r}")
    return text


def parse_seed(seed: int | None) -> int | None:
    """A seed of torch's generators. Raises UsageError."""
    if seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"expected a seed from 0 to {2**32 - 1}, found {seed}")
    return seed


def parse_bytes(text: str) -> int:
    """`500 MB`, `2 GiB`, `1_000_000`: an amount of memory in bytes. Raises UsageError."""
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    if match is None:
        raise UsageError(f"expected an amount of memory such as 500 MB or 2 GiB, found {text!r}")
    return int(float(match[1].replace("_", "")) * (_UNITS | _BINARY_UNITS)[match[2] or ""])


def num_cpus() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_bytes() -> int | None:
    """The memory that can be had without swapping; None where the system doesn't tell."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
