"""Build targets to networks: import what the target names, check the arguments, call it.

Everything that goes wrong on the way, in the user's code above all, becomes a `BuildError` of one line.
"""

from __future__ import annotations

import copy
import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from torch import nn

from archcheck.errors import BuildError
from archcheck.spec.target import Target, parse_target
from archcheck.text.words import a

_PRETRAINED = ("weights", "weights_backbone", "pretrained")
_UNEXPECTED = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '([^']*)'")
_LIBRARIES = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


def build_network(target: str, args: Mapping[str, Any], base_dir: Path, rootdir: Path | None = None) -> nn.Module:
    """Build the network that `target` names.

    Files count from `base_dir`, the spec's folder; modules are looked for in `rootdir` first.

    Raises:
        BuildError: the target can't be imported or called, or returns no network.
    """
    return prepare_network(target, args, base_dir, rootdir)()


def prepare_network(
    target: str, args: Mapping[str, Any], base_dir: Path, rootdir: Path | None = None
) -> Callable[[], nn.Module]:
    """Import what `target` names and check `args`; the network is built by calling the result.

    Apart from `build_network` for callers that build within a device context, which must not leak into the tensors
    that a user's module makes when it's imported.

    Raises:
        BuildError: the target can't be imported, or doesn't take the arguments; the result raises it as well.
    """
    parsed = parse_target(target)
    function = resolve_target(target, base_dir, rootdir)
    if not isinstance(function, nn.Module):
        check_arguments(function, args, parsed.text)
    elif args:
        message = f"{parsed.text} is a {type(function).__name__} built already: expected no args"
        raise BuildError(message, arg=next(iter(args)))
    return lambda: _built(parsed, function, args, base_dir, rootdir)


def resolve_target(target: str, base_dir: Path, rootdir: Path | None = None) -> Callable[..., Any]:
    """Import the callable that `target` names; a network that is a module's attribute comes as it is.

    Raises:
        BuildError: it can't be imported, or is nothing that can be called.
    """
    parsed = parse_target(target)
    if parsed.kind == "torchvision":
        return _torchvision_builder(parsed.attribute)
    if parsed.kind == "timm":
        return _timm_builder(parsed.attribute)
    with importing(parsed, base_dir, rootdir):
        module = _module(parsed.source, rootdir) if parsed.kind == "module" else _file(parsed.source, base_dir, rootdir)
        found = _attribute(module, parsed, rootdir)
    if not callable(found):
        raise BuildError(f"{parsed.text} is {a(found)}, expected a callable that returns a torch.nn.Module")
    function: Callable[..., Any] = found
    return function


def check_arguments(function: Callable[..., Any], args: Mapping[str, Any], name: str) -> None:
    """Check the names of `args` against what `function` takes; a function with `**kwargs` may still refuse some.

    Raises:
        BuildError: an argument is missing, unknown or fixed; its `arg` says which.
    """
    for arg, fixed in getattr(function, "keywords", {}).items():
        if arg in _PRETRAINED and arg in args and args[arg] is not fixed:
            raise BuildError(f"{name} is built without pretrained weights: `{arg}` can't be set", arg=arg)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # builtins may have none
        return
    accepted = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for arg in args:
            if arg not in accepted:
                raise _unknown_argument(name, arg, accepted)
    for p in parameters:
        if p.default is p.empty and p.name not in args and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            raise BuildError(f"{name} is missing its argument {p.name!r} (it accepts {_listed(accepted)})", arg=p.name)
        if p.default is p.empty and p.kind is p.POSITIONAL_ONLY:
            raise BuildError(f"{name} takes {p.name!r} by position only, and args are passed by name", arg=p.name)


def _unknown_argument(name: str, arg: str, accepted: list[str]) -> BuildError:
    message = f"{name} accepts no argument {arg!r}{did_you_mean(arg, accepted)} (it accepts {_listed(accepted)})"
    return BuildError(message, arg=arg)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'fc1'?` where one of the known words is close, else nothing."""
    spelt = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(spelt), n=1)
    return f": did you mean {spelt[close[0]]!r}?" if close else ""


def raised_at(error: BaseException, rootdir: Path | None = None, *, own_only: bool = False) -> str | None:
    """The user's line that raised, as `file.py:3`: the innermost one that belongs to no installed library.

    Where a library's own code is to blame the line is its own, or None with `own_only`.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown_path(error.filename, rootdir)}:{error.lineno or 1}"
    frames = list(_frames(error.__traceback__))
    own = [frame for frame in frames if not frame[0].startswith(_LIBRARIES)]
    if not own and (own_only or not frames):
        return None
    file, line = (own or frames)[-1]
    return f"{_shown_path(file, rootdir)}:{line}"


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    """File and line of each call on the way to an error, those of this module and of the import system left out."""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != importlib.__file__ and not file.startswith("<") and not _is_ours(file):
            yield file, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_ours(file: str) -> bool:
    """A file of archcheck's, other than the networks that come with it: wherever it is installed."""
    return file.startswith(_OURS) and not file.startswith(f"{_OURS}zoo{os.sep}")


def _shown_path(file: str, rootdir: Path | None) -> str:
    for folder in filter(None, (rootdir, Path.cwd())):
        if Path(file).is_relative_to(folder):
            return str(Path(file).relative_to(folder))
    return file


# ---------------------------------------------------------------------------------------------- calling


def _built(
    target: Target, function: Callable[..., Any], args: Mapping[str, Any], base_dir: Path, rootdir: Path | None
) -> nn.Module:
    if isinstance(function, nn.Module):
        return function
    with importing(target, base_dir, rootdir), _quiet_torchvision(function):
        network = _called(target, function, args, rootdir)
    if not isinstance(network, nn.Module):
        raise BuildError(f"{target.text} returned {a(network)}, expected torch.nn.Module")
    return network


def _called(target: Target, function: Callable[..., Any], args: Mapping[str, Any], rootdir: Path | None) -> Any:
    try:
        return function(**copy.deepcopy(dict(args)))  # the same args build the next network too
    except TypeError as error:
        _raise_unexpected(target, args, error)
        raise _raised(f"building {target.text}", error, rootdir) from error
    except (Exception, SystemExit) as error:
        raise _raised(f"building {target.text}", error, rootdir) from error


def _raise_unexpected(target: Target, args: Mapping[str, Any], error: TypeError) -> None:
    """Name the argument that a function with `**kwargs` passed on to one that doesn't take it."""
    match = _UNEXPECTED.match(str(error))
    if match is None or match[2] not in args:
        return
    # Who refused it is known by name only, as seen from where it was called.
    refused: Any = _innermost_globals(error.__traceback__).get(match[1].split(".")[0])
    accepted: list[str] = []
    if callable(refused):
        parameters = inspect.signature(refused).parameters.values()
        accepted = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if accepted:
        raise _unknown_argument(target.text, match[2], accepted) from error
    raise BuildError(f"{target.text} accepts no argument {match[2]!r}", arg=match[2]) from error


def _innermost_globals(traceback: TracebackType | None) -> dict[str, Any]:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_globals if traceback is not None else {}


@contextmanager
def _quiet_torchvision(function: Callable[..., Any]) -> Iterator[None]:
    """Torchvision warns about defaults of its own (googlenet's init_weights) that nobody can act on here."""
    builder = getattr(function, "func", function)
    if not str(getattr(builder, "__module__", "")).startswith("torchvision."):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def _raised(doing: str, error: BaseException, rootdir: Path | None) -> BuildError:
    return BuildError(f"{doing} raised {one_line(error)}", where=raised_at(error, rootdir))


def one_line(error: BaseException) -> str:
    """`KeyError: 'x'`: type and message without line breaks, and not too long."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    except Exception:  # the user's class of exception may fail in its turn
        message = ""
    # Nor with anything that would move a terminal's cursor, or that a file in UTF-8 can't hold.
    message = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)
    message = message if len(message) <= 300 else message[:297] + "..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


# ---------------------------------------------------------------------------------------------- registries


def _torchvision_builder(name: str) -> Callable[..., Any]:
    models = _library("torchvision", "torchvision.models")
    known = models.list_models()
    if name.lower() not in known:
        raise BuildError(f"torchvision has no model {name!r}{did_you_mean(name.lower(), known)}")
    builder = models.get_model_builder(name)
    # Left to themselves, detection and segmentation models download their backbone's weights.
    weights = [key for key in inspect.signature(builder).parameters if key in _PRETRAINED]
    return functools.partial(builder, **dict.fromkeys(weights))


def _timm_builder(name: str) -> Callable[..., Any]:
    timm = _library("timm", "timm")
    if not timm.is_model(name):
        raise BuildError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}")
    return functools.partial(timm.create_model, name, pretrained=False)


def _library(distribution: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != distribution:
            raise _raised(f"importing {module}", error, None) from error
        raise BuildError(f"{distribution} is not installed; pip install {distribution}") from error
    except Exception as error:
        raise _raised(f"importing {module}", error, None) from error


# ---------------------------------------------------------------------------------------------- importing


@contextmanager
def _search_path(folder: Path) -> Iterator[None]:
    """Have a folder at the front of `sys.path`."""
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()  # files may be younger than the importer's view of their folder
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


def _module(name: str, rootdir: Path | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if _is_absent(error, name):
            # The part that is missing may be a package on the way: nets.resnet -> nets.
            missing = getattr(error, "name", None) or name
            close = did_you_mean(missing, _siblings(missing))
            where = f" in {rootdir} or the Python environment" if rootdir and not close else ""
            raise BuildError(f"no module named {missing!r}{close or where}") from error
        raise _raised(f"importing {name}", error, rootdir) from error


def _siblings(name: str) -> list[str]:
    """The modules beside one that isn't there, where its package is."""
    parent = name.rpartition(".")[0]
    return [
        f"{parent}.{found.name}" for found in pkgutil.iter_modules(getattr(sys.modules.get(parent), "__path__", []))
    ]


def _is_absent(error: BaseException, name: str) -> bool:
    """Whether the module itself isn't there, rather than one that it imports: then no code of it was running."""
    if not isinstance(error, ModuleNotFoundError) or not f"{name}.".startswith(f"{error.name}."):
        return False
    return not any(_frames(error.__traceback__))


def _attribute(module: ModuleType, target: Target, rootdir: Path | None) -> Any:
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
            raise _raised(f"importing {target.text}", error, rootdir) from error
    return found


# Files are imported under the name that they would have with their folder, or their package's, on `sys.path`: imports
# between them then work, relative ones included. Two folders may hold modules of one name. The first of them stays in
# `sys.modules`; whenever files of another folder are imported or called, what is theirs takes its place meanwhile.
# Modules that something other than a build target has imported are never touched.


class _Files:
    """The files imported so far, and which folder each of the modules loaded with them belongs to."""

    def __init__(self) -> None:
        self.modules: dict[Path, ModuleType] = {}
        self._loaded: dict[Path, dict[str, ModuleType]] = {}

    @contextmanager
    def using(self, folder: Path) -> Iterator[None]:
        """Have a folder's modules importable, and those of the same names from other folders out of the way."""
        displaced = self._displace(folder)
        own = self._loaded.setdefault(folder, {})
        sys.modules.update(own)
        before = set(sys.modules)
        try:
            with _search_path(folder):
                yield
        finally:
            own.update(self._new(folder, before))
            for name in [name for name in own if name.partition(".")[0] in displaced]:
                sys.modules.pop(name, None)
            for modules in displaced.values():
                sys.modules.update(modules)

    def forget(self, folder: Path, before: set[str]) -> None:
        """Drop what a failed import has left behind."""
        for name in self._new(folder, before):
            del sys.modules[name]

    def _new(self, folder: Path, before: set[str]) -> dict[str, ModuleType]:
        """The folder's modules that were imported since, without those of a folder within it that has its own."""
        owned = {id(module) for modules in self._loaded.values() for module in modules.values()}
        new = {name: sys.modules[name] for name in sys.modules.keys() - before}
        return {name: module for name, module in new.items() if _is_under(module, folder) and id(module) not in owned}

    def _displace(self, folder: Path) -> dict[str, dict[str, ModuleType]]:
        """Take other folders' modules of names that this one has too out of `sys.modules`; by top-level name."""
        displaced: dict[str, dict[str, ModuleType]] = {}
        for other, modules in self._loaded.items():
            for name, module in modules.items():
                top = name.partition(".")[0]
                if other != folder and sys.modules.get(name) is module and _has_module(folder, top):
                    displaced.setdefault(top, {})[name] = sys.modules.pop(name)
        return displaced


_files = _Files()  # per process, as sys.modules is


def _is_under(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(f"{folder}{os.sep}") and not file.startswith(_LIBRARIES)


def _has_module(folder: Path, name: str) -> bool:
    return os.path.isfile(folder / f"{name}.py") or os.path.isdir(folder / name)


def _located(source: str, base_dir: Path) -> Path:
    return (base_dir / source).resolve()


@contextmanager
def importing(target: Target, base_dir: Path, rootdir: Path | None) -> Iterator[None]:
    """Have what the target's code may import at hand: `rootdir`'s modules, and before them those beside a file."""
    folders = [rootdir.resolve()] if rootdir is not None else []
    if target.kind == "path":
        folders.append(_package_of(_located(target.source, base_dir))[0])
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(_files.using(folder))
        yield


def _package_of(path: Path) -> tuple[Path, list[str]]:
    """The folder that would have to be on `sys.path`, and the parts of the module's name from there."""
    parts, folder = [path.stem], path.parent
    while os.path.isfile(folder / "__init__.py") and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return folder, parts


def _file(source: str, base_dir: Path, rootdir: Path | None) -> ModuleType:
    path = _located(source, base_dir)
    if not os.path.isfile(path):  # unlike Path's, false for a name that is too long
        raise BuildError(f"no file {source} in {base_dir}")
    if path in _files.modules:
        return _files.modules[path]
    folder, parts = _package_of(path)
    before = set(sys.modules)
    try:
        module = _import_file(path, folder, parts)
    except BaseException as error:
        _files.forget(folder, before)
        if isinstance(error, (Exception, SystemExit)):
            raise _raised(f"importing {source}", error, rootdir) from error
        raise
    _files.modules[path] = module
    return module


def _import_file(path: Path, folder: Path, parts: list[str]) -> ModuleType:
    if _is_free(parts[0], folder) and all(part.isidentifier() for part in parts):
        module = importlib.import_module(".".join(parts))
        if _is_file_of(module, path):
            return module
    return _import_under_own_name(path)


def _is_free(top: str, folder: Path) -> bool:
    """Whether a top-level name means the folder's: no other module has it, whether imported already or Python's own."""
    if top in sys.modules:
        loaded = sys.modules[top]
        return any(_is_file_of(loaded, folder / rest) for rest in (f"{top}.py", f"{top}/__init__.py"))
    return top not in sys.stdlib_module_names


def _is_file_of(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).resolve() == path


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
