"""Checks where the code that is timed was imported from: two sides that run the same code would be equally fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from archcheck.network.imports import file_of

_INSTALLED = {"site-packages", "dist-packages"}
_VENDORED = {"vendor", "_vendor", "vendored", "third_party", "external"}  # folders of copies, seldom imported from


def explain_wrong_code(tree: str | None, other_tree: str | None) -> str:
    """Explain why the code to be timed isn't the tree's own; empty where it is.

    tree: the working tree that the network belongs to. other_tree: the working tree of the other side.
    """
    if other_tree is not None:
        names = sorted({name.split(".")[0] for name, file in _imported() if _is_code_of(other_tree, file)})
        if names:
            return f"{', '.join(names)} comes from {other_tree}, so that both sides would run the same code"
    if tree is None:
        return ""
    known = _module_paths(_tracked_files(tree))
    for name, file in _imported():
        if not file.is_relative_to(tree) and _module_path(name, file) in known:
            source = file.parents[name.count(".") + (file.name == "__init__.py")]
            return f"{name} comes from {source}, not from {tree}: install it editable (pip install -e .)"
    return ""


def _imported() -> Iterator[tuple[str, Path]]:
    """Yield every imported module with its file, except those of the standard library."""
    for name, module in list(sys.modules.items()):
        file = file_of(module)
        if file is not None and name.split(".")[0] not in sys.stdlib_module_names:
            yield name, Path(file)


def _is_code_of(folder: str, file: Path) -> bool:
    """Whether a file belongs to a working tree, rather than to a Python environment inside it."""
    prefix = Path(sys.prefix)
    if not file.is_relative_to(folder) or _INSTALLED & set(file.parts):
        return False
    # A prefix around the folder, such as /usr around /usr/src/app, doesn't make it part of the environment.
    return not (prefix != Path(folder) and prefix.is_relative_to(folder) and file.is_relative_to(prefix))


def _tracked_files(tree: str) -> list[str]:
    """List the Python files under version control; empty where git can't tell."""
    command = ["git", "-C", tree, "ls-files", "-z", "--", "*.py"]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").split("\0") if done.returncode == 0 else []


def _module_paths(files: Sequence[str]) -> set[str]:
    """Return the path suffixes by which files can be imported, such as `pkg/nets.py` of `python/pkg/nets.py`."""
    packages = {file.rpartition("/")[0] for file in files if file.endswith("/__init__.py")}
    found = set[str]()
    for file in files:
        parts = file.split("/")
        if _VENDORED & set(parts):
            continue
        # A module in a package is imported by the package's name.
        found |= {"/".join(parts[at:]) for at in range(len(parts)) if "/".join(parts[:at]) not in packages}
    return found


def _module_path(name: str, file: Path) -> str:
    """Return the path of a module's file below `sys.path`: `pkg/nets.py` of `pkg.nets`."""
    path = name.replace(".", "/")
    return f"{path}/__init__.py" if file.name == "__init__.py" else f"{path}{file.suffix}"
