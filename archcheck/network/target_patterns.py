"""Patterns of build targets: `timm:resnet*`, `torchvision:*`, `package.models:*`."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from archcheck.errors import BuildError
from archcheck.network.absent_accelerators import importing_without_accelerators
from archcheck.network.imports import import_file, import_module, importing
from archcheck.network.schemes import list_targets
from archcheck.network.signatures import signature_of, written_annotations
from archcheck.spec.target import Target, parse_target
from archcheck.text.words import close_names, listed

WILDCARDS = frozenset("*?[")


def is_pattern(target: str) -> bool:
    """Return whether a target names several networks."""
    return bool(WILDCARDS & {*target.rpartition(":")[2]})


def expand_target(pattern: str, base_dir: Path, rootdir: Path | None) -> list[str]:
    """Return the targets that a pattern names, in order; of a module, its networks and what makes them without asking.

    Raises:
        BuildError: it names none, or its module can't be imported.
    """
    source, _, wanted = pattern.strip().rpartition(":")
    # Whatever follows the colon: what stands before it is read as in any other target.
    target = parse_target(f"{source}:x")
    names = list_targets(source) if target.scheme else _names(target, base_dir, rootdir)
    found = [name for name in names if fnmatch.fnmatchcase(name, wanted)]
    if not found:
        raise BuildError(f"{pattern}: {_no_match(wanted, names)}")
    return [f"{source}:{name}" for name in found]


def _no_match(wanted: str, names: Sequence[str]) -> str:
    stem = wanted.split("*")[0]
    stems = dict.fromkeys(name[: len(stem) + more] for name in names for more in (0, 1))
    close = close_names(stem, stems) if stem else []
    if close:
        return f"no network of that name; did you mean {close[0]}*?"
    if not names:
        return "no network there that can be built without arguments; a function says that it makes one by -> nn.Module"
    return f"no network of that name; there are {listed(names, 6)}"


def _names(target: Target, base_dir: Path, rootdir: Path | None) -> list[str]:
    with importing(target, base_dir, rootdir), importing_without_accelerators():
        if target.kind == "module":
            module = import_module(target.source, rootdir)
        else:
            module = import_file(target.source, base_dir, rootdir)
    exported = getattr(module, "__all__", None)
    names = list(exported) if exported is not None else [name for name in vars(module) if _is_own(module, name)]
    return [name for name in names if not name.startswith("_") and makes_network(getattr(module, name, None))]


def _is_own(module: ModuleType, name: str) -> bool:
    """Return whether something is defined in a module, or in one of those in it."""
    return f"{getattr(getattr(module, name), '__module__', None)}.".startswith(f"{module.__name__}.")


def makes_network(value: Any) -> bool:
    """Return whether something is a network's class, or a function that returns a network, and needs no arguments.

    A function says so by its annotation; one that has none calls a network's class, or something else that makes a
    network, and returns a value.
    """
    if not isinstance(value, (type, FunctionType)) or not _needs_nothing(value):
        return False
    if isinstance(value, type):
        return issubclass(value, nn.Module) and not inspect.isabstract(value) and value.forward is not _NO_FORWARD
    annotation = written_annotations(value).get("return")
    annotation = getattr(annotation, "__forward_arg__", annotation)  # of a name that isn't there
    if isinstance(annotation, str):
        annotation = value.__globals__.get(annotation, annotation.endswith("Module"))
    if annotation is not None:
        return annotation is True or (isinstance(annotation, type) and issubclass(annotation, nn.Module))
    return _calls_a_network(value) and _returns(value)


_NO_FORWARD = nn.Module.forward


def _needs_nothing(value: Any) -> bool:
    try:
        parameters = signature_of(value).parameters.values()
    except (ValueError, TypeError):
        return False
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _calls_a_network(function: FunctionType, depth: int = 2) -> bool:
    """Return whether a function's code names a network's class, of its module or another, or a function that does."""
    names = function.__code__.co_names
    named = [function.__globals__[name] for name in names if name in function.__globals__]
    inside = [getattr(module, name, None) for module in named if isinstance(module, ModuleType) for name in names]
    if any(isinstance(one, type) and issubclass(one, nn.Module) for one in [*named, *inside]):
        return True
    if any(_is_of_a_library(one) for one in [*named, *inside]):
        return True
    functions = [one for one in named if isinstance(one, FunctionType) and one is not function]
    return depth > 1 and any(_calls_a_network(one, depth - 1) for one in functions)


def _is_of_a_library(function: Any) -> bool:
    """Return whether a function is one by which a library of networks makes them."""
    module = getattr(function, "__module__", None) or ""
    return callable(function) and module.startswith(_FACTORIES)


_FACTORIES = ("timm.models._factory", "torchvision.models", "segmentation_models_pytorch", "monai.networks.nets")


def _returns(function: FunctionType) -> bool:
    """Return whether a function returns a value: `main()`, which trains what it has built, does not."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree))
