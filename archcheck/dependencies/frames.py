"""Whose code is running, by the frames of a call: the user's, a library's, or ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import FrameType
from typing import Literal, TypeAlias

from archcheck.network.exceptions import LIBRARIES

Owner: TypeAlias = Literal["user", "library", "archcheck", "nobody"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ZOO = _PACKAGE + "zoo" + os.sep
_IMPORT_SYSTEM = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>")
# They look at source files to show or to find code, whatever that code does.
_SHOW_CODE = tuple(os.sep + name for name in ("inspect.py", "linecache.py", "traceback.py", "warnings.py"))
_METADATA = os.path.join("importlib", "metadata", "__init__.py")
_NEAR = 8  # frames


class Owners:
    """Tells whose a file is."""

    def __init__(self) -> None:
        self.known: dict[str, Owner] = {}

    def owner(self, file: str) -> Owner:
        """Return whose file it is. The zoo counts as anybody's: its files are what specs are about."""
        found = self.known.get(file)
        if found is None:
            found = self.known[file] = self._look(file)
        return found

    def _look(self, file: str) -> Owner:
        if not file or file.startswith("<"):
            return "nobody"
        path = os.path.abspath(file)
        if path.startswith(_PACKAGE) and not path.startswith(_ZOO):
            return "archcheck"
        return "library" if path.startswith(LIBRARIES) else "user"


@dataclass(slots=True)
class Callers:
    """Who called, innermost first.

    modules: the user's files that are being executed as modules, and `conftest.py` files, whose fixtures and hooks are
    everybody's. files: the user's files. is_library_import: a library does it while it's imported.
    """

    modules: list[str]
    files: list[str]
    is_library_import: bool = False


def callers(frame: FrameType | None, owners: Owners) -> Callers:
    """Look through the frames of a call, up to the hooks that run a check."""
    found = Callers([], [])
    while frame is not None:
        code = frame.f_code
        file = code.co_filename
        owner = owners.known.get(file) or owners.owner(file)
        if owner == "user":
            file = os.path.abspath(file)
            found.files.append(file)
            if code.co_name == "<module>" or file.endswith(f"{os.sep}conftest.py"):
                found.modules.append(file)
        elif owner == "library" and code.co_name == "<module>" and not found.files:
            if frame.f_globals.get("__name__") != "__main__":
                found.is_library_import = True
                break
        elif owner == "archcheck" and f"{os.sep}pytest_plugin{os.sep}" in file:
            break
        frame = frame.f_back
    return found


def is_import_system(frame: FrameType | None) -> bool:
    """Whether the import system looks for modules; what it finds is known otherwise."""
    return frame is not None and frame.f_code.co_filename in _IMPORT_SYSTEM


def looks_for_metadata(frame: FrameType | None) -> bool:
    """Whether importlib.metadata lists a folder; which of the metadata it then opens is what counts."""
    files = _nearest(frame)
    return any(file.endswith(_METADATA) for file in files)


def shows_code(frame: FrameType | None) -> bool:
    """Whether source code is looked at to be shown, or to find what it belongs to."""
    return any(file.endswith(_SHOW_CODE) for file in _nearest(frame))


def _nearest(frame: FrameType | None) -> list[str]:
    files: list[str] = []
    while frame is not None and len(files) < _NEAR:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files
