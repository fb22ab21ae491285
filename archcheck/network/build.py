"""Building networks from their targets: import what a target names, check the arguments, call it.

Whatever goes wrong on the way, in the user's code above all, becomes a `BuildError` of one line.
"""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import nn

from archcheck.errors import BuildError, UsageError
from archcheck.network.absent_accelerators import importing_without_accelerators
from archcheck.network.annotations import annotations_of, class_of, options_of, plain_type
from archcheck.network.argument_values import ArgumentReader
from archcheck.network.call_arguments import check_arguments, unknown_argument
from archcheck.network.config_files import DiffusersFactory, TransformersFactory
from archcheck.network.exceptions import raised_at
from archcheck.network.fields_read import Fields, fields_read
from archcheck.network.imports import AbsentModuleError, build_error, import_named, importing, keep_importing
from archcheck.network.schemes import resolve_scheme
from archcheck.network.signatures import signature_of
from archcheck.spec.schemes import no_such_scheme
from archcheck.spec.target import Target, parse_target
from archcheck.system.audit import building
from archcheck.text.words import kind_of, listed

_VALUE = "..."  # in an example of args
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
    if isinstance(function, nn.Module):
        if args:
            message = f"{parsed.text} is a {type(function).__name__} built already: expected no args"
            raise BuildError(message, arg=next(iter(args)))
        return lambda: _kept_importing(function, parsed, base_dir, rootdir)
    try:
        check_arguments(function, args, parsed.text)
    except BuildError as error:
        _raise_with_fields(function, args, error)
        raise
    reader = ArgumentReader(base_dir, rootdir)
    with importing(parsed, base_dir, rootdir):
        read = reader.read(function, args)
        if isinstance(function, TransformersFactory | DiffusersFactory):
            function.configuration(read)
    return lambda: _built(parsed, function, partial(reader.read, function, args), base_dir, rootdir)


def _raise_with_fields(function: Callable[..., Any], args: Mapping[str, Any], error: BuildError) -> None:
    """Say what is read of an argument that is missing, where the code tells, and how to give all that are."""
    parameters = signature_of(function).parameters.values()
    missing = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    fields = {name: fields_read(function, name) for name in missing if name not in args}
    read = [name for name, found in fields.items() if found.inside]
    if error.keys[:1] == (next(iter(fields), None),) and read:
        annotations = annotations_of(function)
        example = {**args, **{name: _example(found, annotations.get(name, Any)) for name, found in fields.items()}}
        text = json.dumps(example).replace(json.dumps(_VALUE), _VALUE)
        told = "; ".join(f"{listed([*fields[name].inside])} of {name}" for name in read)
        raise BuildError(f"{error}; it reads {told}, so give args: {text}", arg=str(error.keys[0])) from error


def _example(fields: Fields, annotation: Any) -> Any:
    """Return a value with some fields as `args` has it, each of which is still to be filled in."""
    inside = {name: _example(one, Any) for name, one in fields.inside.items()}
    has_class = any(class_of(option) is not None for option in options_of(plain_type(annotation)))
    return {"class:types.SimpleNamespace": inside} if fields.is_object and not has_class else inside or _VALUE


def resolve_target(
    target: str,
    base_dir: Path,
    rootdir: Path | None = None,
    *,
    expected: str = "a callable that returns a torch.nn.Module",
) -> Callable[..., Any]:
    """Import the callable that `target` names; a network that is a module's attribute comes as it is.

    expected: what it is to be, in the words of an error.

    Raises:
        BuildError: it can't be imported, or is nothing that can be called.
    """
    parsed = parse_target(target)
    if parsed.scheme:
        with importing(parsed, base_dir, rootdir):
            return resolve_scheme(parsed, base_dir, rootdir)
    try:
        with importing_without_accelerators():
            found = import_named(parsed, base_dir, rootdir)
    except AbsentModuleError as error:
        if "." in parsed.source:
            raise
        raise AbsentModuleError(f"{error}; {no_such_scheme(parsed.source)}") from error
    if not callable(found):
        raise BuildError(f"{parsed.text} is {kind_of(found)}, expected {expected}")
    function: Callable[..., Any] = found
    return function


# ---------------------------------------------------------------------------------------------- calling


def _built(
    target: Target,
    function: Callable[..., Any],
    read_args: Callable[[], dict[str, Any]],
    base_dir: Path,
    rootdir: Path | None,
) -> nn.Module:
    with importing(target, base_dir, rootdir), _quiet_torchvision(function):
        args = read_args()  # anew, as the next network is to be built of the same
        network = _called(target, function, args, rootdir)
    if not isinstance(network, nn.Module):
        raise BuildError(f"{target.text} returned {kind_of(network)}, expected torch.nn.Module")
    return _kept_importing(network, target, base_dir, rootdir)


def _kept_importing(network: nn.Module, target: Target, base_dir: Path, rootdir: Path | None) -> nn.Module:
    """Return a network whose forward finds what its file would find at the top."""
    keep_importing(target, base_dir, rootdir)
    return network


def _called(target: Target, function: Callable[..., Any], args: Mapping[str, Any], rootdir: Path | None) -> Any:
    try:
        with building():
            return function(**args)
    except TypeError as error:
        _raise_unexpected(target, args, error)
        raise build_error(f"building {target.text}", error, rootdir) from error
    except AttributeError as error:
        _raise_no_object(target, args, error, rootdir)
        raise build_error(f"building {target.text}", error, rootdir) from error
    except (Exception, SystemExit) as error:
        raise build_error(f"building {target.text}", error, rootdir) from error


def _raise_no_object(target: Target, args: Mapping[str, Any], error: AttributeError, rootdir: Path | None) -> None:
    """Name the argument that is a map, and was used as an object with attributes."""
    arg = next((name for name, value in args.items() if isinstance(value, dict) and value is error.obj), None)
    if arg is not None:
        own = f"{target.source}{':' if target.kind == 'path' else '.'}NAME"
        message = (
            f"{arg} is used as an object ({error.name}), and is a map: name its class, {{class:{own}: {{...}}}}, "
            "or {class:types.SimpleNamespace: {...}} where any will do"
        )
        raise BuildError(message, arg=arg, where=raised_at(error, rootdir)) from error


def _raise_unexpected(target: Target, args: Mapping[str, Any], error: TypeError) -> None:
    """Name the argument that a function with `**kwargs` passed on to one that doesn't take it."""
    match = _UNEXPECTED.match(str(error))
    if match is None or match[2] not in args:
        return
    # Who refused it is known by name only, as seen from where it was called.
    refused: Any = _innermost_globals(error.__traceback__).get(match[1].split(".")[0])
    accepted: list[str] = []
    if callable(refused):
        parameters = signature_of(refused).parameters.values()
        accepted = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if accepted:
        raise unknown_argument(target.text, match[2], accepted) from error
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


def require_module(model: object) -> None:
    """Raise UsageError for anything that is no network."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"expected a torch.nn.Module, found {type(model).__name__}")
