"""Gathers what the run of each spec has used, while modules are imported once and shared by all."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from archcheck.dependencies.facts import Fact, Surroundings, file_fact, import_fact, submodule_fact
from archcheck.dependencies.frames import Owner, Owners, callers
from archcheck.dependencies.imports import ImportWatch
from archcheck.dependencies.leftovers import Leftovers
from archcheck.dependencies.reads import ReadWatch, source_of
from archcheck.dependencies.used import Used
from archcheck.network.exceptions import LIBRARIES
from archcheck.network.imports import file_of

# They open files in C, C++ or Rust, where nobody sees it.
_UNSEEN_READERS = (
    "av", "cv2", "decord", "h5py", "lmdb", "netCDF4", "pyarrow", "rasterio", "safetensors", "soundfile", "tables",
    "tensorflow", "torchvision.io", "zarr",
)  # fmt: skip
# Imported when a process is started, without an audit event of its own.
_OTHER_PROCESSES = {f"multiprocessing.popen_{how}" for how in ("spawn_posix", "spawn_win32", "forkserver")}
_NEAR = 4  # frames between the user's code and what it calls of the standard library


class Recorder:
    """What the specs of this process have used so far.

    A spec's run is told by `watching`; whatever is read meanwhile is its own, and that of the modules that were being
    executed. What a module has used counts for every spec that imports it.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self._owners = Owners()
        self._specs: dict[str, Used] = {}
        self._files: dict[str, Used] = {}
        self._modules: dict[str, ModuleType] = {}
        self._fresh: list[str] = []
        self._lost: dict[str, None] = {}
        self._window: Used | None = None
        self._shared: dict[str, Used] = {}
        self._sharing: list[Used] = []
        self._heard: set[tuple[Any, ...]] = set()
        self._leftovers = Leftovers()
        self._before: frozenset[str] = frozenset()
        self._path: list[str] = []
        self._names: dict[str, frozenset[str]] = {}
        self._reads, self._imports = ReadWatch(self), ImportWatch(self)

    def start(self) -> None:
        """Begin to watch this process."""
        self._before = frozenset(file for file in map(_file_of, list(sys.modules.values())) if self.is_users(file))
        self._reads.start()
        self._imports.start()

    def stop(self) -> None:
        """Stop watching it."""
        self._imports.stop()
        self._reads.stop()

    @contextmanager
    def watching(self, spec: str) -> Iterator[Used]:
        """Take what is used inside as used by a spec, but for what only the check itself knows of. Gives all of it."""
        window = self._window = Used()
        self._heard.clear()
        self._path = list(sys.path)
        try:
            yield window
        finally:
            self._window = None
            self._heard.clear()
            self._specs.setdefault(spec, Used()).add(replace(window, unseen={}))
            self._keep_leftovers(window, spec)

    def _keep_leftovers(self, window: Used, spec: str) -> None:
        """Count what a run has used for the modules that it has left in another state."""
        with self._reads.paused():
            for file in self._leftovers.changed(self._closure(self._specs[spec].files)):
                self._files.setdefault(file, Used()).add(replace(window, unknown=window.unknown | window.unseen))

    # --------------------------------------------------------------------------------------- what is told

    def note_fact(self, fact: Fact, frame: FrameType | None) -> None:
        """Something is read that can be looked up again."""
        for used in self._users(frame):
            if fact not in used.facts:
                used.facts[fact] = self.surroundings.value(fact)

    def note_unknown(self, reason: str, frame: FrameType | None, *, whoever: bool = False) -> None:
        """Something is done that can't be followed, by the user's code or by `whoever`.

        A library that asks for the processor's name or for GPUs starts processes and loads C libraries, too.
        """
        if whoever or callers(frame, self._owners).files:
            for used in self._users(frame):
                used.unknown[reason] = None

    def note_unseen(self, reason: str) -> None:
        """Processes of archcheck's own do something, which nobody but the check that runs will know of."""
        for used in [self._window, *self._sharing] if self._window is not None else []:
            used.unseen[reason] = None

    def note_module(self, module: Any) -> None:
        """A build target's module is taken, whether it was imported now or before."""
        file = _file_of(module)
        if self.is_users(file):
            self._remember(file, module)
            self.note_imported()
            for used in [self._window, *self._sharing] if self._window is not None else []:
                used.files.add(file)

    def note_building(self, *, is_over: bool) -> None:
        """A network is built from now on, or is there: whatever of the user's code runs meanwhile counts.

        Where somebody profiles the process already, only what is imported does.
        """
        if not is_over and sys.getprofile() is None and self._window is not None:
            sys.setprofile(self._note_call)
        elif is_over and sys.getprofile() == self._note_call:
            sys.setprofile(None)

    def _note_call(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or self._owners.owner(frame.f_code.co_filename) != "user" or self._window is None:
            return
        file = os.path.abspath(frame.f_code.co_filename)
        if file in self._window.files and not self._sharing:
            return
        with self._reads.paused():
            self.surroundings.value(file_fact(file))
        for used in [self._window, *self._sharing]:
            used.files.add(file)

    def begin_sharing(self, key: str) -> None:
        """What is used from now on counts for whoever asks for what a key stands for."""
        self._sharing.append(self._shared.setdefault(key, Used()))
        self._heard.clear()

    def end_sharing(self, key: str) -> None:
        """What a key stands for is there."""
        self._sharing.pop()
        for used in [self._window, *self._sharing] if self._window is not None else []:
            used.add(self._shared[key])

    def is_watched(self, path: str) -> bool:
        """Whether a file counts by itself, rather than as a part of a distribution; metadata does, wherever it lies."""
        return self._owners.owner(path) == "user" or ".dist-info" in path or ".egg-info" in path

    def skips(self, importer: str) -> bool:
        """Whether it doesn't matter what the top of this file imports: a distribution counts by its version."""
        return self._owners.owner(importer) != "user"

    def has_heard(self, key: tuple[Any, ...]) -> bool:
        """Whether the same statement was told before, in the same run."""
        if key in self._heard:
            return True
        self._heard.add(key)
        return False

    def lose_track(self, error: Exception) -> None:
        """Something was read or imported, and nobody knows what: nothing of this process is known any more."""
        self._lost[f"archcheck lost track of what it reads ({type(error).__name__})"] = None

    def is_running(self) -> bool:
        """Whether a spec is verified, or something is imported: else pytest looks at files by the thousand."""
        return self._window is not None or self._imports.depth > 0

    def is_users_call(self, frame: FrameType | None) -> bool:
        """Whether the user's code calls, maybe by way of the standard library."""
        known = self._owners.known  # asked directly, as pytest looks at files a hundred thousand times
        for _ in range(_NEAR):
            if frame is None:
                return False
            file = frame.f_code.co_filename
            if (known.get(file) or self._owners.owner(file)) == "user":
                return True
            frame = frame.f_back
        return False

    def note_import(self, names: Sequence[str], importer: str | None, frame: FrameType | None) -> None:
        """Modules of these names were imported: by the top of the file `importer`, or by a function."""
        if importer is not None:
            users = [self._files.setdefault(os.path.abspath(source_of(importer)), Used())]
        else:
            users = self._users(frame)
        caller = "user" if importer is not None else self._caller(frame)
        with self._reads.paused():
            for name in names if users else ():
                self._note_name(name, users, caller)

    def note_imported(self) -> None:
        """The outermost import is over: this is how its modules start."""
        for file in self._fresh:
            self._leftovers.remember(file, self._modules[file])
        self._fresh.clear()

    def _note_name(self, name: str, users: Sequence[Used], caller: Owner) -> None:
        file = _file_of(sys.modules.get(name))
        is_own = self.is_users(file)
        if is_own:
            self._remember(file, sys.modules[name])
        for used in users:
            if is_own:
                used.files.add(file)
            elif file.startswith(LIBRARIES):
                used.libraries.add(name.partition(".")[0])
            if caller != "library" or is_own:
                for fact in self._whereabouts(name):
                    used.facts.setdefault(fact, self.surroundings.value(fact))
            if name in _OTHER_PROCESSES:
                used.unknown["it starts another process"] = None
            if caller == "user" and any(f"{name}.".startswith(f"{reader}.") for reader in _UNSEEN_READERS):
                used.unknown[f"{name} may read files unseen"] = None

    def _whereabouts(self, name: str) -> Iterator[Fact]:
        """Yield where a module is looked for, so that one that appears in front of it is noticed."""
        parent, _, last = name.rpartition(".")
        if not parent:
            yield import_fact(name, *_around(list(sys.path), self.surroundings.path))
            return
        package = sys.modules.get(parent)
        if self.is_users(_file_of(package)) or (package is not None and not _file_of(package)):
            for folder in list(getattr(package, "__path__", ())):
                yield submodule_fact(str(folder), last)

    def _remember(self, file: str, module: Any) -> None:
        if file not in self._modules:
            self._modules[file] = module
            self._fresh.append(file)
            self.surroundings.value(file_fact(file))  # as it is now, not when the run is over

    def _users(self, frame: FrameType | None) -> list[Used]:
        """Return whoever uses what the caller does: the modules that are executed, and the spec that runs."""
        found = callers(frame, self._owners)
        if found.is_library_import:
            return []
        files = found.modules if self._window is not None else found.modules or found.files
        users = [self._files.setdefault(file, Used()) for file in dict.fromkeys(files)]
        return users if self._window is None else [*users, self._window, *self._sharing]

    def _caller(self, frame: FrameType | None) -> Owner:
        """Return whose an import is: of one by name, whoever calls `importlib.import_module`."""
        if frame is not None and frame.f_code.co_filename == importlib.__file__:
            frame = frame.f_back
        return "nobody" if frame is None else self._owners.owner(frame.f_code.co_filename)

    def is_users(self, file: str) -> bool:
        """Whether a file is the user's own, rather than a library's or archcheck's."""
        return bool(file) and self._owners.owner(file) == "user"

    # --------------------------------------------------------------------------------------- what comes of it

    def used_by(self, spec: str, also: Iterable[str] = ()) -> Used:
        """Return all that the runs of a spec have used, files that modules import among the facts.

        also: files that count whatever the spec does, such as `conftest.py`.
        """
        found = Used()
        own = self._specs.get(spec, Used())
        found.add(own)
        found.unknown |= self._lost
        with self._reads.paused():
            for file in sorted(self._closure([*own.files, *also])):
                found.add(self._files.get(file, Used()))
                found.facts.setdefault(file_fact(file), self.surroundings.value(file_fact(file)))
                if file in self._before:
                    found.unknown[f"{os.path.basename(file)} was imported before archcheck could watch"] = None
        return found

    def _closure(self, files: Iterable[str]) -> set[str]:
        """Return files, the files that their modules import, and so on."""
        found: set[str] = set()
        waiting = list(files)
        while waiting:
            while waiting:
                file = waiting.pop()
                if file not in found:
                    found.add(file)
                    waiting += self._files.get(file, Used()).files
            waiting = self._submodules_used(found)
        return found

    def _submodules_used(self, files: set[str]) -> list[str]:
        """Return submodules that somebody else imported and code in these files names, as in `package.module.x`."""
        candidates: dict[str, set[str]] = {}
        for file in files:
            package = self._modules.get(file)
            if package is not None and hasattr(package, "__path__"):
                for name, value in list(vars(package).items()):
                    other = _file_of(value) if isinstance(value, ModuleType) else ""
                    if other in self._modules and other not in files and value.__name__ == f"{package.__name__}.{name}":
                        candidates.setdefault(name, set()).add(other)
        if not candidates:
            return []
        named = frozenset[str]().union(*(self._names_in(file) for file in files))
        return [other for name, others in candidates.items() if name in named for other in others]

    def _names_in(self, file: str) -> frozenset[str]:
        """Return the names of attributes that a module's code asks for, also by `getattr`."""
        if file not in self._names:
            try:
                tree = ast.parse(Path(file).read_bytes())
            except (OSError, SyntaxError, ValueError):  # a C extension
                tree = ast.Module([], [])
            self._names[file] = frozenset(_attributes_in(tree))
        return self._names[file]


def _attributes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def _file_of(module: object) -> str:
    """Return the source file of a module, empty where it has none."""
    file = file_of(module)
    return os.path.abspath(source_of(file)) if file is not None else ""


def _around(path: Sequence[str], base: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and behind `base` in a path; what is inserted between goes to the back."""
    size = len(base)
    for start in range(len(path) - size + 1):
        if list(path[start : start + size]) == list(base):
            return list(path[:start]), list(path[start + size :])
    known = set(base)
    first = next((place for place, entry in enumerate(path) if entry in known), len(path))
    return list(path[:first]), [entry for entry in path[first:] if entry not in known]
