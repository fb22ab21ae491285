"""Facts that a result may depend on: each is a kind and what of it, and has a value that can be looked up again."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from archcheck.dependencies.distributions import Distributions
from archcheck.dependencies.names import resolve, submodule

Fact: TypeAlias = tuple[str, ...]
Signature: TypeAlias = list[int]

LARGE_BYTES = 2**20  # from here on an unchanged signature stands for unchanged content
_IGNORED = {"__pycache__", ".pytest_cache", ".git", ".mypy_cache", ".ruff_cache"}  # they change with every run


KINDS = {"file": 2, "listing": 2, "variable": 2, "distribution": 2, "submodule": 3, "import": 4}  # and their lengths


def file_fact(path: str) -> Fact:
    """Return the fact of what a file holds; also of a folder or of nothing being there."""
    return ("file", path)


def listing_fact(path: str) -> Fact:
    """Return the fact of what names a folder has."""
    return ("listing", path)


def variable_fact(name: str) -> Fact:
    """Return the fact of an environment variable's value."""
    return ("variable", name)


def distribution_fact(name: str) -> Fact:
    """Return the fact of which build of a distribution is installed."""
    return ("distribution", name)


def submodule_fact(folder: str, name: str) -> Fact:
    """Return the fact of what a package's folder has under the name of one of its modules."""
    return ("submodule", folder, name)


def import_fact(name: str, front: Sequence[str], back: Sequence[str]) -> Fact:
    """Return the fact of where a top-level name is found; `front` and `back` stand around `sys.path` meanwhile."""
    return ("import", name, os.pathsep.join(front), os.pathsep.join(back))


def describe(fact: Fact) -> str:
    """Return what to call a fact in a message: a file's path, `the variable WIDTH`."""
    kind, name = fact[0], fact[1]
    if kind == "file":
        return name
    if kind == "submodule":
        return os.path.join(name, fact[2])
    words = {"listing": "the folder", "variable": "the variable", "distribution": "the distribution"}
    return f"{words.get(kind, 'where one finds')} {name}"


class Surroundings:
    """Looks facts up, each once: a file that changes while a run goes on is what it was when it was first read."""

    def __init__(self, path: Sequence[str], large: dict[str, tuple[Signature, str]] | None = None) -> None:
        """Take `sys.path`, and signatures with content of large files looked at before."""
        self.path = list(path)
        self.variables = dict(os.environ)  # before anybody sets some: what is set depends on what was there
        self.large = dict(large or {})
        self.distributions = Distributions(self.path)
        self._values: dict[Fact, str] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}

    def set_variables(self, variables: Mapping[str, str | None]) -> None:
        """Take some environment variables to be others than this process was started with; None stands for absent."""
        self.variables |= {name: value for name, value in variables.items() if value is not None}
        for name in (name for name, value in variables.items() if value is None):
            self.variables.pop(name, None)

    def value(self, fact: Fact) -> str:
        """Return what is known of a fact, as a short text that differs when it does."""
        value = self._values.get(fact)
        if value is None:
            value = self._values[fact] = self._look_up(fact)
        return value

    def _look_up(self, fact: Fact) -> str:
        kind, name = fact[0], fact[1]
        if kind == "file":
            return self._file(name)
        if kind == "listing":
            return digest("\0".join(_names(name)).encode("utf-8", "surrogateescape"))
        if kind == "variable":
            value = self.variables.get(name)
            # No secret is to lie in a cache.
            return "absent" if value is None else digest(value.encode("utf-8", "surrogateescape"))
        if kind == "distribution":
            return self.distributions.identity(name)
        if kind == "submodule":
            return submodule(name, fact[2], self._folders)
        front, back = (part.split(os.pathsep) if part else [] for part in fact[2:])
        return resolve(name, [*front, *self.path, *back], self._folders)

    def _file(self, path: str) -> str:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return self._within_archive(path)
        if not stat.S_ISREG(status.st_mode):
            return "folder" if stat.S_ISDIR(status.st_mode) else "special"
        # A link that points elsewhere is another file, whatever that holds.
        real = os.path.realpath(path)
        return self._content(path, status) + ("" if real == os.path.abspath(path) else f" at {real}")

    def _within_archive(self, path: str) -> str:
        """Return the content of the archive that a path leads into; of a path that leads nowhere, that it's absent."""
        around = os.path.dirname(path)
        while around and not os.path.exists(around) and os.path.dirname(around) != around:
            around = os.path.dirname(around)
        return f"in {self._file(around)}" if around and os.path.isfile(around) else "absent"

    def _content(self, path: str, status: os.stat_result) -> str:
        signature = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if status.st_size >= LARGE_BYTES and path in self.large and self.large[path][0] == signature:
            return self.large[path][1]
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, _hash).hexdigest()
        except OSError as error:
            return f"unreadable: {error.errno}"
        if status.st_size >= LARGE_BYTES:
            self.large[path] = (signature, found)
        return found


def digest(data: bytes) -> str:
    """Return a short text that stands for some bytes."""
    return _hash(data).hexdigest()


def _hash(data: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=16)


def _names(folder: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        yield "absent"
        return
    for name in names:
        if name not in _IGNORED and not name.endswith(".pyc"):
            yield name


def real_path(path: object) -> str | None:
    """Return the absolute path that someone named; None where it was an open file or nothing a path can be."""
    if isinstance(path, int):
        return None
    try:
        return os.path.abspath(os.fsdecode("." if path is None else path))  # type: ignore[arg-type]
    except (TypeError, ValueError, OSError):
        return None
