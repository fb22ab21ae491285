"""How specs are trained on this machine: what the command line says, torch not needed to say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from archcheck.errors import UsageError

TrainKind: TypeAlias = Literal["auto", "quick", "full", "off"]


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
