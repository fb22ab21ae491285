"""Watches what the code of this process reads: files, folders, environment variables, and what can't be followed.

Python's audit events tell of files, folders, processes, sockets and C libraries; an audit hook stays for good, so there
is one of ours at most, which does nothing while nobody listens. Of `os.stat`, of the folder whose descriptor a file is
opened by, and of environment variables there are no events: the functions, and the class of `os.environ`, are others
while somebody listens.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from archcheck.dependencies.facts import Fact, file_fact, listing_fact, real_path, variable_fact
from archcheck.dependencies.frames import is_import_system, looks_for_metadata, shows_code
from archcheck.system.audit import BUILDING, BUILT, IMPORTED, SHARED, SHARING, UNSEEN
from archcheck.system.processors import OWN_VARIABLES

_PROCESS, _NETWORK = "it starts another process", "it reads the network"
_UNKNOWN = {
    "subprocess.Popen": _PROCESS, "os.system": _PROCESS, "os.exec": _PROCESS, "os.posix_spawn": _PROCESS,
    "os.spawn": _PROCESS, "os.fork": _PROCESS, "os.forkpty": _PROCESS, "pty.spawn": _PROCESS,
    "socket.connect": _NETWORK, "socket.getaddrinfo": _NETWORK, "socket.gethostbyname": _NETWORK,
    "socket.gethostbyaddr": _NETWORK, "socket.sendto": _NETWORK, "urllib.Request": _NETWORK,
    "ctypes.dlopen": "it loads a C library",
}  # fmt: skip
_OURS = (IMPORTED, UNSEEN, SHARING, SHARED, BUILDING, BUILT)
_EVENTS = {
    *_UNKNOWN, *_OURS, "open", "os.listdir", "os.scandir", "import", "sqlite3.connect",
}  # fmt: skip
_SYSTEM = ("/proc/", "/sys/", "/dev/")
_STATS = ("stat", "lstat", "access", "readlink")


class Listener(Protocol):
    """Is told what is read, and by whom: the innermost frame of the caller."""

    def note_fact(self, fact: Fact, frame: FrameType | None) -> None:
        """Something is read that can be looked up again."""

    def note_unknown(self, reason: str, frame: FrameType | None, *, whoever: bool = False) -> None:
        """Something is done that can't be followed, by the user's code or by `whoever`."""

    def note_unseen(self, reason: str) -> None:
        """Processes of archcheck's own do something, which nobody but the check that runs will know of."""

    def note_module(self, module: Any) -> None:
        """A build target's module is taken, whether it was imported now or before."""

    def lose_track(self, error: Exception) -> None:
        """Something was read, and nobody knows what."""

    def is_running(self) -> bool:
        """Whether a spec is verified, or something is imported."""

    def is_users_call(self, frame: FrameType | None) -> bool:
        """Whether the user's code calls, maybe by way of the standard library."""

    def note_building(self, *, is_over: bool) -> None:
        """A network is built from now on, or is there."""

    def begin_sharing(self, key: str) -> None:
        """What is used from now on counts for whoever asks for what a key stands for."""

    def end_sharing(self, key: str) -> None:
        """What a key stands for is there."""

    def is_watched(self, path: str) -> bool:
        """Whether a file counts by itself, rather than as a part of a distribution."""


class ReadWatch:
    """Tells a listener what is read, while it listens."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._paused = threading.local()
        self._stats: dict[str, Callable[..., Any]] = {}
        self._environments: list[tuple[Any, type]] = []

    def start(self) -> None:
        """Begin to listen, in the place of whoever listened before."""
        global _watch, _is_hooked
        _watch = self
        if not _is_hooked:
            sys.addaudithook(_hook)
            _is_hooked = True
        for name in (*_STATS, "open"):
            self._replace(name)
        for environment in (os.environ, getattr(os, "environb", None)):
            if type(environment) is os._Environ:
                self._environments.append((environment, type(environment)))
                environment.__class__ = _WatchedVariables

    def stop(self) -> None:
        """Leave everything as it was."""
        global _watch
        if _watch is self:
            _watch = None
        for name, function in self._stats.items():
            replacement = getattr(os, name)
            if getattr(replacement, "__wrapped__", None) is function:
                setattr(os, name, function)
            for support in _supports():
                support.discard(replacement)
        self._stats.clear()
        for environment, kind in self._environments:
            environment.__class__ = kind
        self._environments.clear()

    def _replace(self, name: str) -> None:
        original = getattr(os, name)

        def watched(path: Any, *args: Any, **options: Any) -> Any:
            frame, folder = sys._getframe(1), options.get("dir_fd")
            is_told = name == "open" and (folder is None or _is_written((path, None, *args)))  # or is no reading
            if not is_told and (self._listener.is_running() or self._listener.is_users_call(frame)):
                self.note(self._file_in, path, folder, frame)
            return original(path, *args, **options)

        watched.__wrapped__ = original  # type: ignore[attr-defined]
        watched.__name__ = name
        for support in _supports():
            if original in support:
                support.add(watched)
        self._stats[name] = original
        setattr(os, name, watched)

    @contextmanager
    def paused(self) -> Iterator[bool]:
        """Tell nothing of what this thread reads inside; gives whether it was watched before."""
        was_watched = not getattr(self._paused, "is_set", False)
        self._paused.is_set = True
        try:
            yield was_watched
        finally:
            self._paused.is_set = not was_watched

    def note(self, take: Callable[..., None], *what: Any) -> None:
        """Have one of the methods below take what was read, unless it was read on our own account.

        Whatever goes wrong there, the code that reads must not notice.
        """
        with self.paused() as was_watched:
            if was_watched:
                try:
                    take(*what)
                except Exception as error:  # a user's path may be an object of any kind
                    self._listener.lose_track(error)

    def take_variable(self, name: Any, frame: FrameType) -> None:
        """Take a look at an environment variable; None stands for all of them."""
        if name is None:
            self._listener.note_unknown("it reads the whole environment", frame)
        elif isinstance(name, (str, bytes)) and os.fsdecode(name) not in OWN_VARIABLES:
            self._listener.note_fact(variable_fact(os.fsdecode(name)), frame)

    def take(self, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
        """Take an audit event."""
        if event == "open":
            if not _is_written(args):
                self._file(args[0], frame)
        elif event in ("os.listdir", "os.scandir"):
            self._listing(args[0], frame)
        elif event == "import":
            self._file(args[1], frame)  # of a C extension; that of a module in Python is opened
        elif event == "sqlite3.connect":
            self._file(args[0], frame)
        elif event in _OURS:
            self._take_ours(event, args[0] if args else None)
        elif event != "ctypes.dlopen" or args[0]:  # without a name it's the interpreter itself
            self._listener.note_unknown(_UNKNOWN[event], frame, whoever=_UNKNOWN[event] == _NETWORK)

    def _take_ours(self, event: str, what: Any) -> None:
        if event == IMPORTED:
            self._listener.note_module(what)
        elif event == UNSEEN:
            self._listener.note_unseen(what)
        elif event == SHARING:
            self._listener.begin_sharing(what)
        elif event == SHARED:
            self._listener.end_sharing(what)
        else:
            self._listener.note_building(is_over=event == BUILT)

    def _file(self, named: Any, frame: FrameType) -> None:
        path = None if named is None else real_path(named)
        if path is None or path.startswith(_SYSTEM):
            return
        path = source_of(path)
        if self._listener.is_watched(path) and not shows_code(frame):
            self._listener.note_fact(file_fact(path), frame)

    def _file_in(self, named: Any, descriptor: int | None, frame: FrameType) -> None:
        """Take a file in a folder that is told by its descriptor; without one, in the working directory."""
        if descriptor is None:
            self._file(named, frame)
            return
        try:
            folder = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            self._listener.note_unknown("it looks for a file by a folder's descriptor", frame)
        else:
            self._file(os.path.join(folder, os.fsdecode(named)), frame)

    def _listing(self, named: Any, frame: FrameType) -> None:
        if is_import_system(frame) or looks_for_metadata(frame):
            return
        path = real_path(named)
        if path is None:
            self._listener.note_unknown("it lists a folder by its descriptor", frame)
        elif self._listener.is_watched(path + os.sep) and not path.startswith(_SYSTEM):
            self._listener.note_fact(listing_fact(path), frame)


def source_of(path: str) -> str:
    """Return the source file of a bytecode file that lies beside it, or below the prefix; other paths as they are."""
    folder, name = os.path.split(path)
    around, cache = os.path.split(folder)
    prefix = (sys.pycache_prefix or "").rstrip(os.sep)
    if prefix and folder.startswith(prefix + os.sep):
        around = folder[len(prefix) :]
    elif cache != "__pycache__":
        return path
    source = os.path.join(around, f"{name.partition('.')[0]}.py")
    return source if name.endswith(".pyc") and os.path.isfile(source) else path


def _is_written(args: tuple[Any, ...]) -> bool:
    """Whether a file is opened without reading what it held before."""
    flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
    return flags & (os.O_WRONLY | os.O_TRUNC | os.O_EXCL) != 0


def _supports() -> Iterator[set[Any]]:
    """Yield the sets in which `os` tells what its functions can."""
    for name in ("supports_dir_fd", "supports_follow_symlinks", "supports_fd", "supports_effective_ids"):
        yield getattr(os, name)


class _WatchedVariables(os._Environ):  # type: ignore[type-arg]
    """`os.environ` while somebody listens."""

    def __getitem__(self, key: Any) -> Any:
        if _watch is not None:
            _watch.note(_watch.take_variable, key, _reader())
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        if _watch is not None:
            _watch.note(_watch.take_variable, None, _reader())
        return super().__iter__()


def _reader() -> FrameType:
    return sys._getframe(2)


_watch: ReadWatch | None = None
_is_hooked = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watch is not None and event in _EVENTS:
        _watch.note(_watch.take, event, args, sys._getframe(1))
