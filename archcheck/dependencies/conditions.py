"""What every result of a process depends on: the interpreter, the machine, archcheck itself, the options."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from archcheck.dependencies.distributions import Distributions
from archcheck.dependencies.facts import digest
from archcheck.network.exceptions import LIBRARIES

Conditions: TypeAlias = dict[str, str]

MACHINE: Final = "the processor"
THREADS: Final = "the number of threads"
OF_MEASURED: Final = frozenset((MACHINE, THREADS))  # what only counts for what is trained or timed
# Libraries read them in C, where nobody sees it.
_VARIABLES = (
    "ARCHCHECK", "ATEN", "BLIS", "CUBLAS", "CUDA", "CUDNN", "DNNL", "HIP", "HSA", "KMP_", "LD_", "MIOPEN",
    "MKL", "NCCL", "NVIDIA", "OMP_", "ONEDNN", "OPENBLAS", "PYTHON", "PYTORCH", "ROCM", "TORCH", "TRITON",
)  # fmt: skip
_DEVICES = ("/dev", ("nvidia", "kfd", "dri", "accel"))


def conditions(distributions: Distributions, variables: Mapping[str, str], others: Mapping[str, str]) -> Conditions:
    """Return what this process runs under, in words and short texts.

    variables: the environment at the start. others: what else counts, by its name in messages.
    """
    found = {
        "Python": f"{sys.version} at {sys.prefix}",
        "archcheck": _own_identity(distributions),
        "the platform": f"{sys.platform} {platform.machine()}",
        "the devices": " ".join(_devices()),
        MACHINE: _processor(),
        "the environment": digest("\0".join(_settings(variables)).encode("utf-8", "surrogateescape")),
    }
    return found | dict(others)


def _settings(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(variables.items()):
        if name.startswith(_VARIABLES):
            yield f"{name}={value}"


def _devices() -> list[str]:
    folder, names = _DEVICES
    try:
        return sorted(name for name in os.listdir(folder) if name.startswith(names))
    except OSError:
        return []


@cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = {line for line in file if line.startswith(("model name", "flags", "Features"))}
        return f"{os.cpu_count()} {digest(''.join(sorted(lines)).encode())}"
    except OSError:
        return f"{os.cpu_count()} {platform.processor()}"


def _own_identity(distributions: Distributions) -> str:
    """Return what tells builds of archcheck apart: where it isn't installed, the content of its files."""
    package = Path(__file__).parents[1]
    if str(package).startswith(LIBRARIES):
        return distributions.identity("pytest_archcheck")
    found = hashlib.blake2b(digest_size=16)
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", "zoo"))
        for name in sorted(files):
            found.update(name.encode() + b"\0" + Path(folder, name).read_bytes() + b"\0")
    return found.hexdigest()
