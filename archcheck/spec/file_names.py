"""The names of spec files. Apart from what reads them, which takes a tenth of a second to import."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".arch.yaml"


def spec_name(path: Path) -> str:
    """Return the file's name without its ending."""
    return path.name.removesuffix(SUFFIX)
