"""A lock whose spec isn't there: what to do with it."""

from __future__ import annotations

from pathlib import Path

from archcheck.errors import SpecError
from archcheck.spec.file_names import SUFFIX, lock_path, spec_path
from archcheck.spec.lock import build_of_lock
from archcheck.spec.spec_file import read_spec


def what_to_do_with_lock(path: Path) -> str:
    """Say that there is no spec beside a lock, and how it follows one that was renamed."""
    missing = f"there is no {spec_path(path).name} beside this lock"
    build = build_of_lock(path)
    for other in sorted(path.parent.glob(f"*{SUFFIX}")):
        if not lock_path(other).exists() and build is not None and _build_of(other) == build:
            return f"{missing}; was it renamed? git mv {path.name} {lock_path(other).name}"
    return f"{missing}: restore the spec, or delete the lock"


def _build_of(path: Path) -> str | None:
    try:
        return read_spec(path).spec.build
    except SpecError:
        return None
