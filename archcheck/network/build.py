"""Building networks from their targets: import what a target names, check the arguments, call it.

Whatever goes wrong on the way, in the user's code above all, becomes a `BuildError` of one line.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import nn

from archcheck.errors import BuildError, UsageError
from archcheck.network.imports import build_error, find_attribute, import_file, import_module, importing
from archcheck.spec.target import Target, parse_target
from archcheck.text.words import did_you_mean, kind_of

_PRETRAINED = ("weights", "weights_backbone", "pretrained")
_UNEXPECTED = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '([^']*)'")


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
    if isinstance(function, functools._lru_cache_wrapper):  # whoever else calls it must not get the network run here
        function = function.__wrapped__
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
        module = (
            import_module(parsed.source, rootdir)
            if parsed.kind == "module"
            else import_file(parsed.source, base_dir, rootdir)
        )
        found = find_attribute(module, parsed, rootdir)
    if not callable(found):
        raise BuildError(f"{parsed.text} is {kind_of(found)}, expected a callable that returns a torch.nn.Module")
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
            raise BuildError(f"{name} is missing its argument {p.name!r} {_accepts(accepted)}", arg=p.name)
        if p.default is p.empty and p.kind is p.POSITIONAL_ONLY:
            raise BuildError(f"{name} takes {p.name!r} by position only, and args are passed by name", arg=p.name)


def _unknown_argument(name: str, arg: str, accepted: list[str]) -> BuildError:
    message = f"{name} accepts no argument {arg!r}{did_you_mean(arg, accepted)} {_accepts(accepted)}"
    return BuildError(message, arg=arg)


# ---------------------------------------------------------------------------------------------- calling


def _built(
    target: Target, function: Callable[..., Any], args: Mapping[str, Any], base_dir: Path, rootdir: Path | None
) -> nn.Module:
    if isinstance(function, nn.Module):
        return function
    with importing(target, base_dir, rootdir), _quiet_torchvision(function):
        network = _called(target, function, args, rootdir)
    if not isinstance(network, nn.Module):
        raise BuildError(f"{target.text} returned {kind_of(network)}, expected torch.nn.Module")
    return network


def _called(target: Target, function: Callable[..., Any], args: Mapping[str, Any], rootdir: Path | None) -> Any:
    try:
        return function(**copy.deepcopy(dict(args)))  # the same args build the next network too
    except TypeError as error:
        _raise_unexpected(target, args, error)
        raise build_error(f"building {target.text}", error, rootdir) from error
    except (Exception, SystemExit) as error:
        raise build_error(f"building {target.text}", error, rootdir) from error


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
    """Silence torchvision's warnings about its own defaults (googlenet's init_weights); nobody can act on them here."""
    builder = getattr(function, "func", function)
    if not str(getattr(builder, "__module__", "")).startswith("torchvision."):
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def _accepts(names: list[str]) -> str:
    return f"(it accepts {', '.join(names) or 'none'})"


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
            raise build_error(f"importing {module}", error, None) from error
        raise BuildError(f"{distribution} is not installed; pip install {distribution}") from error
    except Exception as error:
        raise build_error(f"importing {module}", error, None) from error


def require_module(model: object) -> None:
    """Raise UsageError for anything that is no network."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"expected a torch.nn.Module, found {type(model).__name__}")
