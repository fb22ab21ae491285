"""Which distributions are installed, and which of them a module comes from."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

_SUFFIXES = (".dist-info", ".egg-info")
_FILES = ("METADATA", "PKG-INFO", "RECORD", "direct_url.json", "entry_points.txt")


class Distributions:
    """The distributions on a path, by their metadata's files; importlib.metadata reads far more to say as much."""

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)
        self._identities: dict[str, str] = {}

    @cached_property
    def folders(self) -> dict[str, str]:
        """The folder of metadata by a distribution's name; the first on the path counts, as it does for imports."""
        found: dict[str, str] = {}
        for entry in self._path:
            for name in _names(entry or "."):
                if name.endswith(_SUFFIXES):
                    found.setdefault(canonical(name.split("-")[0].removesuffix(".egg")), os.path.join(entry, name))
        return found

    def identity(self, name: str) -> str:
        """Return what tells builds of a distribution apart: its version, its files' sizes and hashes, its source."""
        if name not in self._identities:
            self._identities[name] = self._look_up(name)
        return self._identities[name]

    def _look_up(self, name: str) -> str:
        folder = self.folders.get(name)
        if folder is None:
            return "absent"
        found = hashlib.blake2b(digest_size=16)
        for path in [folder] if os.path.isfile(folder) else [os.path.join(folder, file) for file in _FILES]:
            found.update(_content(path) + b"\0")
        return f"{os.path.basename(folder)} {found.hexdigest()}"

    @cached_property
    def by_module(self) -> dict[str, list[str]]:
        """The distributions that have files under a top-level name."""
        found: dict[str, list[str]] = {}
        for name, folder in self.folders.items():
            for top in _top_levels(folder):
                found.setdefault(top, []).append(name)
        return found

    def behind(self, modules: Iterable[str], also: Iterable[str] = ()) -> set[str]:
        """Return the distributions of top-level modules, and what these require, as far as it's installed.

        What only an extra asks for counts where something of it is imported in this process.
        """
        found: set[str] = set()
        waiting = [*also, *(name for module in modules for name in self.by_module.get(module, ()))]
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.folders:
                found.add(name)
                waiting += self._required(name)
        return found

    def _required(self, name: str) -> list[str]:
        if name not in self._requirements:
            text = b"".join(_content(os.path.join(self.folders[name], file)) for file in _FILES[:2])
            found = _REQUIRES.findall(text.partition(b"\n\n")[0].decode("utf-8", "replace"))
            self._requirements[name] = [
                canonical(one) for one, rest in found if "extra" not in rest or self._is_loaded(canonical(one))
            ]
        return self._requirements[name]

    @cached_property
    def _requirements(self) -> dict[str, list[str]]:
        return {}

    def _is_loaded(self, name: str) -> bool:
        return name in self._loaded

    @cached_property
    def _loaded(self) -> set[str]:
        tops = {name.partition(".")[0] for name in list(sys.modules)}
        return {name for top in tops for name in self.by_module.get(top, ())}


_REQUIRES = re.compile(r"^Requires-Dist: ([A-Za-z0-9._-]+)(.*)$", re.M)


def canonical(name: str) -> str:
    """Return a distribution's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "_", name).lower()


def _top_levels(folder: str) -> set[str]:
    """Return the top-level names that a distribution has files under."""
    if os.path.isfile(folder):
        return set()
    listed = _content(os.path.join(folder, "top_level.txt")).decode("utf-8", "replace").split()
    record = _content(os.path.join(folder, "RECORD")).decode("utf-8", "replace")
    files = {line.split("/", 1)[0].split(",", 1)[0] for line in record.splitlines()}
    names = {name.split(".")[0] for name in files if not name.endswith(_SUFFIXES) and not name.startswith(".")}
    return names | set(listed)


def _names(folder: str) -> Iterator[str]:
    try:
        yield from sorted(os.listdir(folder))
    except OSError:
        return


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
