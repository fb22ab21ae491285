"""The names of a machine's device and processor, and a spec's values by device."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from archcheck.network.devices import device_name


def cpu_model() -> str:
    """Return the processor's own name, `Intel(R) Xeon(R) Processor`, or else its architecture, `aarch64`."""
    read_name = {"Linux": _model_on_linux, "Darwin": _model_on_macos}.get(platform.system(), platform.processor)
    try:
        name = read_name()
    except (OSError, ValueError, subprocess.SubprocessError):
        name = ""
    return _one_line(name) or _one_line(platform.machine()) or "unknown CPU"


def describe_device(device: torch.device) -> dict[str, Any]:
    """Describe the machine that a speed is measured on; `threads` are those of torch's operations, on the CPU only."""
    return {
        "device": device_name(device),
        "cpu": cpu_model(),
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "torch": str(torch.__version__),
    }


def find_device_key(keys: Iterable[str], device: torch.device) -> str | None:
    """Return the key of a map such as `{cpu: 30, NVIDIA H200: 20_000}` that means this device; None without one.

    The device's full name wins over the longest key that is a part of it in whole words (`H200`; `H20` is another GPU),
    which wins over its kind (`cpu`, `cuda`, `mps`).
    """
    by_name = {_one_line(key).lower(): key for key in keys}
    name = _one_line(device_name(device)).lower()
    parts = sorted((key for key in by_name if _is_part_of(key, name)), key=len, reverse=True)
    return next((by_name[key] for key in (name, *parts, device.type) if key in by_name), None)


def _model_on_linux() -> str:
    fields = _fields(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    if "CPU part" in fields and "model name" not in fields:  # ARM gives numbers only
        return f"{platform.machine()} implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return fields.get("model name") or fields.get("cpu", "")  # POWER calls it `cpu`


def _fields(text: str) -> dict[str, str]:
    """Parse lines `NAME : VALUE`; a name that occurs for several processors has the value of the first."""
    lines = [line.partition(":") for line in text.splitlines()]
    return {name.strip(): value.strip() for name, _, value in reversed(lines)}


def _model_on_macos() -> str:
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout


def _is_part_of(key: str, name: str) -> bool:
    return bool(key) and re.search(rf"(?<![0-9a-z]){re.escape(key)}(?![0-9a-z])", name) is not None


def _one_line(text: str) -> str:
    return " ".join(text.split())
