"""The options of a session by which specs are trained and timed; without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from archcheck.errors import UsageError

TrainKind: TypeAlias = Literal["auto", "quick", "full", "off"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options by which specs are trained and timed on this machine.

    kind: the recipe; `auto` is the full one on an accelerator and the quick one elsewhere.
    device: `auto`, or any that torch knows: `cpu`, `cuda`, `xpu:1`.
    seed: replaces the recipe's; None: the recipe's own.
    data_dir: the folder of data sets. download: whether missing ones may be downloaded into it.
    checkpoints: the folder in which each spec gets a folder with its best network; None: nothing is saved.
    data_budget_bytes: the most of a data set that may be resident on the device; None: a quarter of its free memory.
    spec_roots: folders that specs lie in; below `checkpoints` a spec's folder is named by its path from there.
    num_threads: the most of torch on the CPU; None: as many as torch has been told.
    device_problem: why this process may use no device; empty where it may.
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
    device_problem: str = ""


def parse_device(text: str) -> str:
    """Check the name of a device, not whether the machine has it; only rare names have torch imported.

    Raises:
        UsageError: torch knows no such device.
    """
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:(0|[1-9]\d?))?", text):
        from archcheck.network.devices import parse_device_name

        parse_device_name(text)
    return text


def parse_seed(seed: int | None) -> int | None:
    """Check that torch's generators take a seed. Raises UsageError."""
    if seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"expected a seed from 0 to {2**32 - 1}, found {seed}")
    return seed
