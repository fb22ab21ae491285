"""Numbers with their units: counts, multiply-adds, rates, durations, bytes."""

from __future__ import annotations

import re

from archcheck.errors import UsageError


def format_count(value: int | None) -> str:
    """A count with its digits grouped."""
    return "-" if value is None else f"{value:_}"


def format_macs(macs: int | None) -> str:
    """Multiply-adds to four significant digits, with their unit."""
    if macs is None:
        return "-"
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if macs >= size:
            scaled = macs / size
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f} {unit}"
    return str(macs)


def format_rate(examples_per_sec: float | None) -> str:
    """Examples per second to three digits: `11_600`, `42.3`; `-` where only the first step was taken."""
    if not examples_per_sec:
        return "-"
    if examples_per_sec < 100:
        return f"{examples_per_sec:.3g}"
    digits = len(str(int(examples_per_sec))) - 3
    return f"{int(round(examples_per_sec, -digits)):_}"


def format_gap(gap: float) -> str:
    """A difference of accuracies, never so rounded that it vanishes."""
    return f"{gap:.3f}" if gap >= 0.0005 else f"{gap:.1g}"


def format_seconds(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 100:
        return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def format_bytes(number: int | None) -> str:
    """`158 MB`, `-` where nobody knows."""
    if number is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"


def format_macs_rate(macs_per_sec: float | None) -> str:
    """`12.3 GMAC/s`."""
    if macs_per_sec is None:
        return "-"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if float(f"{macs_per_sec:.3g}") >= size:
            return f"{float(f'{macs_per_sec / size:.3g}'):g} {unit}MAC/s"
    return f"{macs_per_sec:.3g} MAC/s"


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY_UNITS = {"ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}


def parse_bytes(text: str) -> int:
    """`500 MB`, `2 GiB`, `1_000_000`: an amount of memory in bytes. Raises UsageError."""
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    if match is None:
        raise UsageError(f"expected an amount of memory such as 500 MB or 2 GiB, found {text!r}")
    return int(float(match[1].replace("_", "")) * (_UNITS | _BINARY_UNITS)[match[2] or ""])
