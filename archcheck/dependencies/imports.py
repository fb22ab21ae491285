"""Watches import statements, executed at the top of a module or inside a function, and `importlib.import_module`.

A module is executed once in a process, whoever asks for it first. So what a module imports at its top counts for
everybody who imports it, and what a function imports counts for whoever was running.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any, Protocol

_BOOTSTRAP: Any = importlib._bootstrap


class ImportListener(Protocol):
    """Is told what is imported."""

    def skips(self, importer: str) -> bool:
        """Whether it doesn't matter what the top of this file imports."""

    def has_heard(self, key: tuple[Any, ...]) -> bool:
        """Whether the same statement was told before, in the same run."""

    def note_import(self, names: Sequence[str], importer: str | None, frame: FrameType | None) -> None:
        """Modules of these names were imported: by the top of the file `importer`, or by a function."""

    def lose_track(self, error: Exception) -> None:
        """Something was imported, and nobody knows what."""

    def note_imported(self) -> None:
        """The outermost import is over."""


class ImportWatch:
    """Tells a listener what is imported, while it listens."""

    def __init__(self, listener: ImportListener) -> None:
        self._listener = listener
        self.depth = 0  # of imports that are going on
        self._original: Any = None
        self._original_by_name: Any = None

    def start(self) -> None:
        """Begin to listen."""
        self._original, self._original_by_name = builtins.__import__, _BOOTSTRAP._gcd_import
        builtins.__import__ = self._import
        _BOOTSTRAP._gcd_import = self._import_by_name

    def stop(self) -> None:
        """Leave everything as it was, unless another one has taken its place."""
        if builtins.__import__ == self._import:
            builtins.__import__ = self._original
        if _BOOTSTRAP._gcd_import == self._import_by_name:
            _BOOTSTRAP._gcd_import = self._original_by_name

    def _import(
        self,
        name: str,
        globals: Any = None,  # noqa: A002 - as in the function that this stands for
        locals: Any = None,  # noqa: A002
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        is_top = locals is globals and globals is not None
        importer = globals.get("__file__") if is_top else None
        if is_top and (not isinstance(importer, str) or self._listener.skips(importer)):
            return self._original(name, globals, locals, fromlist, level)  # type: ignore[no-any-return]
        package = (globals or {}).get("__package__") or (globals or {}).get("__name__") if level else None
        key = (name, package, level, tuple(fromlist or ()))
        if not is_top and not self.depth and self._listener.has_heard(key):
            return self._original(name, globals, locals, fromlist, level)  # type: ignore[no-any-return]
        self.depth += 1
        try:
            return self._original(name, globals, locals, fromlist, level)  # type: ignore[no-any-return]
        finally:
            self.depth -= 1
            self._note(name, package, level, tuple(fromlist or ()), importer, sys._getframe(1))

    def _import_by_name(self, name: str, package: str | None = None, level: int = 0) -> ModuleType:
        key = (name, package, level, "by name")
        if not self.depth and self._listener.has_heard(key):
            return self._original_by_name(name, package, level)  # type: ignore[no-any-return]
        self.depth += 1
        try:
            return self._original_by_name(name, package, level)  # type: ignore[no-any-return]
        finally:
            self.depth -= 1
            self._note(name, package, level, (), None, sys._getframe(1))

    def _note(self, name: str, package: str | None, level: int, fromlist: tuple[str, ...], *who: Any) -> None:
        try:
            self._listener.note_import(_names(_absolute(name, package, level), fromlist), *who)
            if not self.depth:
                self._listener.note_imported()
        except Exception as error:  # whatever goes wrong here, the code that imports must not notice
            self._listener.lose_track(error)


def _names(name: str, fromlist: tuple[str, ...]) -> list[str]:
    """Return the modules that a statement may have imported: a name's parents, it, and what is imported from it."""
    known = vars(sys.modules[name]) if isinstance(sys.modules.get(name), ModuleType) else {}
    if "*" in fromlist:
        fromlist = tuple(one for one in known.get("__all__", ()) if isinstance(one, str))
    # What is no attribute may be a module, or one that isn't there.
    submodules = [one for one in fromlist if f"{name}.{one}" in sys.modules or one not in known]
    parts = name.split(".")
    return [
        *(".".join(parts[:length]) for length in range(1, len(parts) + 1)),
        *(f"{name}.{one}" for one in submodules),
    ]


def _absolute(name: str, package: str | None, level: int) -> str:
    if not level or not package:
        return name
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base
