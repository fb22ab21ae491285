"""Paths as messages show them: of files, and of values within values."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def path_from(path: Path, start: Path) -> str:
    """Return a path relative to the folder `start`, by way of `..` where it doesn't lie below."""
    try:
        return os.path.relpath(path, start)
    except ValueError:  # another drive
        return str(path)


def path_below(path: Path, *folders: Path) -> str:
    """Return a path relative to the first of some folders, or else of the working directory, that it lies below.

    A path that lies below none stays as it is; one that would break the line is quoted.
    """
    with suppress(OSError):  # the working directory may be gone
        folders = (*folders, Path.cwd())
    above = next((folder for folder in folders if path.is_relative_to(folder)), None)
    text = (path if above is None else path.relative_to(above)).as_posix()
    return text if text.isprintable() else repr(text)


def key_path(keys: Iterable[str | int]) -> str:
    """Return the way to a nested value as text: `stages[0].width`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
