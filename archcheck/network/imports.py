"""Importing the modules and files that specs name, beside each other.

Files are imported under the name that they would have with their folder, or their package's, on `sys.path`: imports
between them then work, relative ones included. Packages in `src` of the rootdir are found, too, where nothing else has
their names: an installed one is what everything else imports.

Two folders may hold modules of one name. The first of them stays in `sys.modules`; whenever files of another folder are
imported or called, what is theirs takes its place meanwhile. Modules that something other than a build target has
imported are never touched.

What a network's code imports later, in a forward, a hook or a thread, is looked for in the same folders: those of the
network that was built last, as whatever runs one builds it first, until the end of `folders_released`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from archcheck.errors import BuildError
from archcheck.network.command_line import as_if_run, refused_command_line
from archcheck.network.exceptions import LIBRARIES, absent_accelerator, frames_of, one_line, raised_at
from archcheck.spec.target import Target
from archcheck.system.audit import tell_imported
from archcheck.text.words import did_you_mean

# Code between an import statement and a finder: Python's, and what watches imports for `--archcheck-changed`.
_PASSING_ON = ("<frozen importlib", importlib.__file__, os.path.dirname(os.path.dirname(__file__)) + "/dependencies")


class AbsentModuleError(BuildError):
    """The module itself isn't there, rather than one that it imports."""


def build_error(doing: str, error: BaseException, rootdir: Path | None) -> BuildError:
    """Return the error of a build in which a user's code raised `error`, such as `importing nets raised ...`."""
    told = one_line(error)
    advice = absent_accelerator(told), refused_command_line(error)
    message = "; ".join(filter(None, (f"{doing} raised {told}", *advice)))
    return BuildError(message, where=raised_at(error, rootdir))


@contextmanager
def _last_on_path(folder: Path) -> Iterator[None]:
    """Put a folder at the end of `sys.path` for the block, unless it stands there."""
    entry = str(folder)
    if entry in sys.path:
        yield
        return
    sys.path.append(entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Put a folder at the front of `sys.path` for the block."""
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()  # files may be younger than the importer's view of their folder
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def import_module(name: str, rootdir: Path | None, base_dir: Path | None = None) -> ModuleType:
    """Import a module by its dotted name; `base_dir` is the folder of what names it.

    Raises:
        AbsentModuleError: there is no such module.
        BuildError: its code raised.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if _is_absent(error, name):
            # The part that is missing may be a package on the way: nets.resnet -> nets.
            missing = getattr(error, "name", None) or name
            close = did_you_mean(missing, _siblings(missing))
            folders = [str(folder) for folder in (rootdir, _sources(rootdir)) if folder] if rootdir else []
            where = f" in {', '.join(folders)} or the Python environment" if folders and not close else ""
            told = f"no module named {missing!r}{close or where}"
            other = _folder_above(base_dir, missing, rootdir) if base_dir and rootdir and not close else None
            if other is not None:
                told += f", but in {other}: make that pytest's rootdir (--rootdir {other}, or an ini file there)"
            raise AbsentModuleError(told) from error
        raise build_error(f"importing {name}", error, rootdir) from error


def import_library(distribution: str, module: str) -> Any:
    """Import a library that not everybody has.

    Raises:
        BuildError: it isn't installed, which the message says how to do, or its code raised.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != distribution:
            raise build_error(f"importing {module}", error, None) from error
        raise BuildError(f"{distribution} is not installed; pip install {distribution}") from error
    except Exception as error:
        raise build_error(f"importing {module}", error, None) from error


def _sources(rootdir: Path) -> Path | None:
    """Return the folder `src` that packages lie in; None where there is none, or it's a package itself."""
    folder = rootdir / "src"
    return folder if folder.is_dir() and not (folder / "__init__.py").exists() else None


def _folder_above(base_dir: Path, name: str, rootdir: Path) -> Path | None:
    """Return the nearest folder around `base_dir` that has a module of a name, other than the rootdir."""
    folders = (one for one in base_dir.resolve().parents if one != rootdir.resolve())
    return next((one for one in folders if _has_module(one, name)), None)


def _siblings(name: str) -> list[str]:
    """Return the names of the modules in the package of one that isn't there."""
    parent = name.rpartition(".")[0]
    return [
        f"{parent}.{found.name}" for found in pkgutil.iter_modules(getattr(sys.modules.get(parent), "__path__", []))
    ]


def _is_absent(error: BaseException, name: str) -> bool:
    """Whether the module itself isn't there, rather than one that it imports: then no code of it was running."""
    if not isinstance(error, ModuleNotFoundError) or not f"{name}.".startswith(f"{error.name}."):
        return False
    return not any(frames_of(error))


def find_attribute(module: ModuleType, target: Target, rootdir: Path | None) -> Any:
    """Return what a target names in its module.

    Raises:
        BuildError: there is no such attribute, or reading it raised.
    """
    found: Any = module
    for name in target.attribute.split("."):
        owner = found
        try:
            found = getattr(owner, name)
        except AttributeError as error:
            close = did_you_mean(name, [known for known in dir(owner) if not known.startswith("_")])
            shown = target.source if owner is module else f"{target.source}:{getattr(owner, '__qualname__', owner)}"
            raise BuildError(f"{shown} has no {name!r}{close}") from error
        except (Exception, SystemExit) as error:
            raise build_error(f"importing {target.text}", error, rootdir) from error
    return found


def import_named(target: Target, base_dir: Path, rootdir: Path | None) -> Any:
    """Import what `module:attribute` or `file.py:attribute` names; files count from `base_dir`.

    Raises:
        AbsentModuleError: there is no such module.
        BuildError: there is no such file or attribute, or code of the user's raised.
    """
    with importing(target, base_dir, rootdir):
        if target.kind == "path":
            module = import_file(target.source, base_dir, rootdir)
        else:
            module = import_module(target.source, rootdir, base_dir)
        tell_imported(module)
        return find_attribute(module, target, rootdir)


class _ImportedFiles:
    """Holds the files imported so far, and by folder the modules that were loaded with them."""

    def __init__(self) -> None:
        self.modules: dict[Path, ModuleType] = {}
        self._loaded: dict[Path, dict[str, ModuleType]] = {}

    @contextmanager
    def in_place(self, folder: Path) -> Iterator[None]:
        """Put the folder's modules imported so far in the place of those of the same names that other folders have."""
        displaced = self._displace(folder)
        own = self._loaded.setdefault(folder, {})
        sys.modules.update(own)
        before = set(sys.modules)
        try:
            yield
        finally:
            own.update(self._new(folder, before))
            for name in [name for name in own if name.partition(".")[0] in displaced]:
                sys.modules.pop(name, None)
            for modules in displaced.values():
                sys.modules.update(modules)

    def forget(self, folder: Path, before: set[str]) -> None:
        """Remove what a failed import has left behind."""
        for name in self._new(folder, before):
            del sys.modules[name]

    def _new(self, folder: Path, before: set[str]) -> dict[str, ModuleType]:
        """Return the folder's modules that were imported since, but none of a folder within it that has its own."""
        owned = {id(module) for modules in self._loaded.values() for module in modules.values()}
        new = {name: sys.modules[name] for name in sys.modules.keys() - before}
        return {name: module for name, module in new.items() if _lies_in(module, folder) and id(module) not in owned}

    def _displace(self, folder: Path) -> dict[str, dict[str, ModuleType]]:
        """Take other folders' modules of this one's names out of `sys.modules`. Returns them by top-level name."""
        displaced: dict[str, dict[str, ModuleType]] = {}
        places = [str(folder), str(folder / "src")]
        for other, modules in self._loaded.items():
            for name, module in modules.items() if other != folder else ():
                top = name.partition(".")[0]
                if sys.modules.get(name) is module and PathFinder.find_spec(top, places) is not None:
                    displaced.setdefault(top, {})[name] = sys.modules.pop(name)
        return displaced


_imported = _ImportedFiles()  # per process, as sys.modules is


class _Neighbours:
    """Finds modules in folders for the code that lies there, or as a last resort for whoever asks."""

    def __init__(self, folders: Sequence[Path], *, only_for: Sequence[Path] = ()) -> None:
        self._folders = [str(folder) for folder in folders]
        self._only_for = tuple(f"{folder}{os.sep}" for folder in only_for)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a module lies, as Python asks it; a package's modules are found by the package."""
        if path is not None or (self._only_for and not self._is_for(_importing_file())):
            return None
        found = PathFinder.find_spec(name, self._folders, target)
        # Any folder may be a namespace: it gives way to modules that are found elsewhere.
        return None if found is None or (self._only_for and found.origin is None) else found

    def _is_for(self, file: str) -> bool:
        return file.startswith(self._only_for) and not file.startswith(LIBRARIES)


def _importing_file() -> str:
    """Return the file of the code that imports something, from within a finder."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_PASSING_ON):
        frame = frame.f_back
    return "" if frame is None else os.path.abspath(frame.f_code.co_filename)


class _RunningNetwork:
    """Holds the folders in which the code of the network that was built last finds what it imports."""

    def __init__(self) -> None:
        self._folders: tuple[list[Path], Path | None] | None = None
        self._stack = ExitStack()

    def keep(self, folders: list[Path], sources: Path | None) -> None:
        """Have imports find what lies in the folders, in the last of them first, and last of all in `sources`."""
        self.release()
        self._folders = folders, sources
        for folder in folders:
            self._stack.enter_context(_imported.in_place(folder))
        inmost_first = folders[::-1]
        first = _Neighbours(inmost_first, only_for=folders)
        last = _Neighbours([*inmost_first, sources] if sources is not None else inmost_first)
        sys.meta_path[:] = [first, *sys.meta_path, last]
        self._stack.callback(_take_away, first, last)

    def release(self) -> None:
        """Leave `sys.modules` and `sys.meta_path` as they were."""
        self._folders = None
        self._stack.close()

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Let other code have its own folders meanwhile."""
        kept = self._folders
        self.release()
        try:
            yield
        finally:
            if kept is not None:
                self.keep(*kept)


def _take_away(*finders: _Neighbours) -> None:
    sys.meta_path[:] = [one for one in sys.meta_path if one not in finders]


_running = _RunningNetwork()  # per process, as sys.modules is


@contextmanager
def folders_released() -> Iterator[None]:
    """Find what lies beside the network that was built last no longer than to the end of the block."""
    try:
        yield
    finally:
        _running.release()


def file_of(module: object) -> str | None:
    """Return the file of something in `sys.modules`, None where it has none.

    Read from the module's own dict: to ask a lazy module for an attribute imports it, or something that isn't there.
    """
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # anything may be put there
        return None
    return file if isinstance(file, str) else None


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = file_of(module)
    places = _portions_of(module) if file is None else [file]
    return bool(places) and all(one.startswith(f"{folder}{os.sep}") and not one.startswith(LIBRARIES) for one in places)


def _portions_of(module: ModuleType) -> list[str]:
    """Return the folders of a package without a file of its own; none of what is no such package."""
    try:
        found = object.__getattribute__(module, "__dict__").get("__path__")
    except AttributeError:
        return []
    return [] if found is None else [str(one) for one in found]


def _has_module(folder: Path, name: str) -> bool:
    return any(os.path.isfile(one / f"{name}.py") or os.path.isdir(one / name) for one in (folder, folder / "src"))


def _path_of(source: str, base_dir: Path) -> Path:
    return (base_dir / source).resolve()


@contextmanager
def importing(target: Target, base_dir: Path, rootdir: Path | None) -> Iterator[None]:
    """Make importable what the target's code may import.

    These are the modules beside a file, then those of `rootdir`, then installed ones, then those in its `src`.
    """
    folders, sources = _folders_of(target, base_dir, rootdir)
    with _running.interrupted(), as_if_run(target.source), ExitStack() as stack:
        if sources is not None:
            stack.enter_context(_last_on_path(sources))
        for folder in folders:
            stack.enter_context(_imported.in_place(folder))
            stack.enter_context(_first_on_path(folder))
        yield


def keep_importing(target: Target, base_dir: Path, rootdir: Path | None) -> None:
    """Make importable what `importing` does, for the code of a network that runs from now on.

    That is until the next one is built, or the end of `folders_released`. `sys.path` stays as it is, as libraries
    import things late, too, which are none of the network's.
    """
    _running.keep(*_folders_of(target, base_dir, rootdir))


def _folders_of(target: Target, base_dir: Path, rootdir: Path | None) -> tuple[list[Path], Path | None]:
    """Return the folders that a target's code imports from, the nearest last, and the folder `src`."""
    folders = [rootdir.resolve()] if rootdir is not None else []
    if target.kind == "path":
        folders.append(_package_of(_path_of(target.source, base_dir))[0])
    return folders, _sources(rootdir.resolve()) if rootdir is not None else None


def _package_of(path: Path) -> tuple[Path, list[str]]:
    """Return the folder that would have to be on `sys.path`, and the parts of the module's name from there."""
    parts, folder = [path.stem], path.parent
    while os.path.isfile(folder / "__init__.py") and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return folder, parts


def import_file(source: str, base_dir: Path, rootdir: Path | None) -> ModuleType:
    """Import a Python file once, under the name that it has in its package.

    Raises:
        BuildError: there is no such file, or its code raised.
    """
    path = _path_of(source, base_dir)
    if not os.path.isfile(path):  # unlike Path's, false for a name that is too long
        raise BuildError(f"no file {source} in {base_dir}")
    if path in _imported.modules:
        return _imported.modules[path]
    folder, parts = _package_of(path)
    before = set(sys.modules)
    try:
        module = _import_file(path, folder, parts)
    except BaseException as error:
        _imported.forget(folder, before)
        if isinstance(error, (Exception, SystemExit)):
            raise build_error(f"importing {source}", error, rootdir) from error
        raise
    _imported.modules[path] = module
    return module


def _import_file(path: Path, folder: Path, parts: list[str]) -> ModuleType:
    if _may_have_name(parts[0], folder) and all(part.isidentifier() for part in parts):
        module = importlib.import_module(".".join(parts))
        if _is_file_of(module, path):
            return module
    return _import_under_own_name(path)


def _may_have_name(top: str, folder: Path) -> bool:
    """Whether a top-level name can mean the folder's module: no other one has it, imported already or Python's own."""
    if top in sys.modules:
        loaded = sys.modules[top]
        return any(_is_file_of(loaded, folder / rest) for rest in (f"{top}.py", f"{top}/__init__.py"))
    return top not in sys.stdlib_module_names


def _is_file_of(module: ModuleType, path: Path) -> bool:
    file = file_of(module)
    return file is not None and Path(file).resolve() == path


def _import_under_own_name(path: Path) -> ModuleType:
    digest = hashlib.blake2b(os.fsencode(path), digest_size=4).hexdigest()
    name = f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
