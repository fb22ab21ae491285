"""Locks that git ignores beside specs that it doesn't: whoever clones the repository wouldn't have them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from archcheck.errors import Problem, SourceLoc
from archcheck.spec.file_names import LOCK_SUFFIX, lock_path

_GIT_SEC: Final = 10.0


def ignored_locks(specs: Iterable[Path]) -> Problem | None:
    """Return what to do about locks of these specs that git ignores; None where there is none, or git isn't there."""
    written = [spec for spec in specs if lock_path(spec).exists()]
    found = [
        lock for folder, inside in groupby(written, lambda spec: spec.parent) for lock in _ignored(folder, list(inside))
    ]
    if not found:
        return None
    rule = _git(found[0].parent, ["-v", "--", found[0].name]).partition("\t")[0]
    more = f", and {len(found) - 1} more," if len(found) > 1 else ""
    told = f"git ignores this lock{more} by {rule}, so that it won't be committed: add !*{LOCK_SUFFIX} behind that line"
    return Problem(SourceLoc(str(found[0]), 1, 1), told)


def _ignored(folder: Path, specs: Sequence[Path]) -> list[Path]:
    """Return the locks in a folder that git ignores; where it ignores the spec as well, that's meant."""
    names = [path.name for spec in specs for path in (spec, lock_path(spec))]
    ignored = set(_git(folder, ["-z", "--stdin"], "\0".join(names)).split("\0"))
    return [lock_path(spec) for spec in specs if lock_path(spec).name in ignored and spec.name not in ignored]


def _git(folder: Path, arguments: Sequence[str], given: str = "") -> str:
    """Return what `git check-ignore` prints; nothing where there is no git, or no repository."""
    command = ["git", "-C", str(folder), "check-ignore", *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_GIT_SEC, check=False)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
