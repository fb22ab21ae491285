"""What a name would be imported from, by the files alone: a new one may stand in front of another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

Folders: TypeAlias = dict[str, dict[str, list[str]]]  # by folder and name without suffixes: what there is of it


def resolve(name: str, path: Sequence[str], folders: Folders) -> str:
    """Return what a top-level name is found as: the first module or package on a path, or all parts of a namespace."""
    parts = []
    for entry in path:
        found = submodule(entry or os.getcwd(), name, folders)
        if not found:
            continue
        parts.append(f"{entry}: {found}")
        if found != f"{name}/":  # a folder alone is part of a namespace, and another may follow
            break
    return "; ".join(parts)


def submodule(folder: str, name: str, folders: Folders) -> str:
    """Return what a folder has under a module's name: files of that name, a folder, and whether it is a package."""
    if folder not in folders:
        folders[folder] = _names_in(folder)
    found = []
    for entry in folders[folder].get(name, ()):
        if entry != name:
            found.append(entry)
        elif os.path.isdir(os.path.join(folder, entry)):
            inside = os.path.join(folder, entry)
            found.append(f"{entry}/" + ("__init__" if _is_package(inside) else ""))
    return " ".join(found)


def _names_in(folder: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    try:
        entries = sorted(os.listdir(folder))
    except OSError:  # not there, or an archive, whose content counts
        return names
    for entry in entries:
        stem, dot, suffix = entry.partition(".")
        if not dot or suffix.rpartition(".")[2] in ("py", "pyc", "so", "pyd"):
            names.setdefault(stem, []).append(entry)
    return names


def _is_package(folder: str) -> bool:
    try:
        return any(name.partition(".")[0] == "__init__" for name in os.listdir(folder))
    except OSError:
        return False
