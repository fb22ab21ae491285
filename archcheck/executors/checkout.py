"""The sources that a result depends on, here and on a host: where they are, and whether they are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from archcheck.spec.file_names import lock_path

ROOT_VARIABLE: Final = "ARCHCHECK_ROOT"  # where a host has the checkout, if elsewhere
DIGEST_CHARS: Final = 16
# What code and configurations are made of. Data is not among it: it has a size, and a place of its own on a host.
_SUFFIXES: Final = frozenset(
    (".py", ".pyi", ".pyx", ".so", ".pyd", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".lock")
)  # fmt: skip
_SKIPPED: Final = frozenset(("__pycache__", "node_modules", "build", "dist", "venv"))
_AT_MOST_BYTES: Final = 16 << 20  # what is larger counts by its size


def digest_of_sources(root: Path, unread: Collection[str] = ()) -> str:
    """Return a digest of the names and contents of the sources below a folder, without hidden folders and environments.

    `unread` are files, from that folder, that don't count.
    """
    found = hashlib.sha256()
    for path in _sources(root):
        name = path.relative_to(root).as_posix()
        if name not in unread:
            found.update(f"{name}\0{_digest_of_file(path)}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()[:DIGEST_CHARS]


def digest_of_spec(spec: Path) -> str:
    """Return a digest of a spec and of its lock, where there is one."""
    found = hashlib.sha256()
    for path in (spec, lock_path(spec)):
        found.update(_digest_of_file(path).encode())
    return found.hexdigest()[:DIGEST_CHARS]


def find_root(root: str, spec: str) -> Path | None:
    """Return where this host has the checkout: by its variable, at the same path, or where the process was started.

    None where the spec is in none of these.
    """
    named = os.environ.get(ROOT_VARIABLE)
    places = [Path(named)] if named else [Path(root), Path.cwd()]
    return next((place for place in places if (place / spec).is_file()), None)


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not name.endswith(".egg-info")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        yield from (Path(folder, name) for name in sorted(files) if os.path.splitext(name)[1] in _SUFFIXES)


def _digest_of_file(path: Path) -> str:
    try:
        size = path.stat().st_size
        return str(size) if size > _AT_MOST_BYTES else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # it is gone, or a link to nothing
        return "absent"
