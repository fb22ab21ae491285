"""The names of spec files and their locks. Apart from what reads them, which takes a tenth of a second to import."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".arch.yaml"
LOCK_SUFFIX = ".arch.lock"


def spec_name(path: Path) -> str:
    """Return the file's name without its ending."""
    return path.name.removesuffix(SUFFIX)


def lock_path(path: Path) -> Path:
    """Return where what was recorded of a spec's network stands: beside the spec, under the same name."""
    return path.with_name(f"{spec_name(path)}{LOCK_SUFFIX}")


def spec_path(path: Path) -> Path:
    """Return where the spec of a lock stands."""
    return path.with_name(f"{path.name.removesuffix(LOCK_SUFFIX)}{SUFFIX}")
