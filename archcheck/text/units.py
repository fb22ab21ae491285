"""Numbers with their units: counts, multiply-adds, rates, durations, bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from archcheck.errors import UsageError

_DECIMAL = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_DECIMAL_BYTES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))
_BINARY_BYTES = {"ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}


# ------------------------------------------------------------------------------------------- from text


def parse_quantity(text: object, units: Iterable[str]) -> tuple[float, str] | None:
    """Return the number and the unit of a text such as `2 min` or `15%`; None for anything else."""
    match = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(units)})", text) if isinstance(text, str) else None
    return None if match is None else (float(match[1]), match[2])


def parse_bytes(text: str) -> int:
    """Return an amount of memory in bytes: `500 MB`, `2 GiB`, `1_000_000`. Raises UsageError."""
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    if match is None:
        raise UsageError(f"expected an amount of memory such as 500 MB or 2 GiB, found {text!r}")
    return int(float(match[1].replace("_", "")) * (_DECIMAL_BYTES | _BINARY_BYTES)[match[2] or ""])


# ------------------------------------------------------------------------------------------- to text


def format_count(value: int | None) -> str:
    """Return a count with its digits grouped: `74_112`; `-` where there is none."""
    return "-" if value is None else f"{value:_}"


def format_macs(macs: int | None) -> str:
    """Return multiply-adds to three digits, with their unit: `1.73 G`; `-` where they aren't known."""
    if macs is None:
        return "-"
    for unit, size in _DECIMAL:
        if macs >= size:
            scaled = macs / size
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f} {unit}"
    return str(macs)


def format_macs_rate(macs_per_sec: float | None) -> str:
    """Return multiply-adds per second to three digits: `12.3 GMAC/s`; `-` where they aren't known."""
    if macs_per_sec is None:
        return "-"
    for unit, size in _DECIMAL:
        if float(f"{macs_per_sec:.3g}") >= size:
            return f"{float(f'{macs_per_sec / size:.3g}'):g} {unit}MAC/s"
    return f"{macs_per_sec:.3g} MAC/s"


def format_rate(examples_per_sec: float | None) -> str:
    """Return examples per second to three digits: `11_600`, `42.3`; `-` where only the first step was taken."""
    if not examples_per_sec:
        return "-"
    if examples_per_sec < 100:
        return f"{examples_per_sec:.3g}"
    digits = len(str(int(examples_per_sec))) - 3
    return f"{int(round(examples_per_sec, -digits)):_}"


def format_known(figure: float | None, digits: int) -> str:
    """Return a figure with so many decimals; `-` where nobody knows it."""
    return "-" if figure is None else f"{figure:.{digits}f}"


def format_gap(gap: float) -> str:
    """Return a difference of accuracies, never so rounded that it vanishes."""
    return f"{gap:.3f}" if gap >= 0.0005 else f"{gap:.1g}"


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: `250 ms`, `12.3 s`, `3 min`, `2.0 h`."""
    if seconds < 100:
        return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def format_bytes(number: int | None) -> str:
    """Return an amount of memory to three digits: `158 MB`; `-` where nobody knows."""
    if number is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"


def format_amount(number: int) -> str:
    """Return an amount of memory to four digits, as a spec has it: `1.923 GiB`, `412 B`."""
    for unit, size in _BINARY:
        if abs(number) >= size:
            scaled = number / size
            return f"{scaled:.{max(0, 4 - len(str(int(abs(scaled)))))}f} {unit}"
    return f"{number} B"
