"""The device to train and measure on: chosen by name, waited for, and relieved of unused memory."""

from __future__ import annotations

import torch

from archcheck.errors import NotMeasured
from archcheck.text.words import counted
from archcheck.training.options import parse_device


def choose_device(name: str) -> torch.device:
    """Return the device of a name: `auto` (CUDA, else MPS, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        NotMeasured: there is no such device on this machine.
        UsageError: the name is none of these.
    """
    parse_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    kind, _, index = name.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(_has_mps())}[kind]
    if int(index or 0) >= count:
        has = counted(count, "CUDA device") if kind == "cuda" and count else f"no {kind.upper()} device"
        raise NotMeasured(f"no device {name!r}: this machine has {has}")
    return torch.device(kind, int(index or 0)) if kind == "cuda" else torch.device(kind)


def device_name(device: torch.device) -> str:
    """Return the name of a device in reports: `cpu`, `NVIDIA H200`, `mps`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work that was queued on it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release(device: torch.device) -> None:
    """Free the device memory that torch caches but nothing uses, for other processes to take."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
