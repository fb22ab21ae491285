"""Values of a spec's `args` as the call takes them: names to what they name, maps to configurations, lists to tuples.

What a value becomes is up to the annotation of the argument, or of the configuration's field; without one, only texts
that name a class or a dtype are anything but what they are.
"""

from __future__ import annotations

import collections.abc
import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from os import PathLike
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, get_args, get_origin

import torch

from archcheck.errors import BuildError
from archcheck.network.absent_accelerators import importing_without_accelerators
from archcheck.network.annotations import annotations_of, class_of, is_text, is_typed_dict, options_of, plain_type
from archcheck.network.call_arguments import check_arguments, unknown_argument
from archcheck.network.config_files import Keys, build_config, is_config_class
from archcheck.network.exceptions import one_line, raised_at
from archcheck.network.imports import AbsentModuleError, find_attribute, import_module, import_named
from archcheck.spec.target import Target, parse_target
from archcheck.text.paths import key_path
from archcheck.text.words import did_you_mean, listed, quoted, shown

_REFERENCE = "class:"
_LITERAL = "text:"
_SETTINGS = (torch.dtype, torch.layout, torch.memory_format)
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable)
_COLLECTIONS = (*_LISTS, collections.abc.Collection)
_SETS = (set, frozenset)


class ArgumentReader:
    """Makes the arguments of a call from a spec's values, anew each time. Files count from `base_dir`."""

    def __init__(self, base_dir: Path, rootdir: Path | None) -> None:
        self._base_dir = base_dir
        self._rootdir = rootdir

    def read(self, function: Callable[..., Any], args: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to call `function` with.

        Raises:
            BuildError: something that a value names isn't there, or a configuration can't be made of a map; `keys` of
                the error is the way to the value in `args`.
        """
        return self._fields(annotations_of(function), args, ())

    def _fields(self, annotations: Mapping[str, Any], values: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        return {name: self._value(value, annotations.get(name, Any), (*keys, name)) for name, value in values.items()}

    def _value(self, value: Any, annotation: Any, keys: Keys) -> Any:
        options = options_of(plain_type(annotation))
        if isinstance(value, dict):
            return self._map(value, options, keys)
        if isinstance(value, list):
            return self._list(value, options, keys)
        if isinstance(value, str):
            return self._text(value, options, keys)
        if value is not None and len(options) == 1 and _is_a(options[0], Enum):
            return _member(options[0], value, keys)
        return copy.deepcopy(value)

    # ------------------------------------------------------------------------------------------ texts

    def _text(self, value: str, options: Sequence[Any], keys: Keys) -> Any:
        if all(map(is_text, options)):
            return value
        if value.startswith(_LITERAL):
            return value.removeprefix(_LITERAL)
        if value.startswith(_REFERENCE):
            return self._named(value.removeprefix(_REFERENCE), keys)
        setting = getattr(torch, value.removeprefix("torch."), None) if value.startswith("torch.") else None
        if isinstance(setting, _SETTINGS):
            return setting
        if any(map(is_text, options)):
            return value
        return self._converted(value, options, keys)

    def _converted(self, value: str, options: Sequence[Any], keys: Keys) -> Any:
        """Return a text as the one type among `options` that is made of text."""
        for option in options:
            if _is_a(option, Enum):
                return _member(option, value, keys)
            if option is torch.dtype:
                return _dtype(value, keys)
            if _is_a(option, PurePath):
                return option(self._base_dir / value)
            if option is PathLike or get_origin(option) is PathLike:
                return self._base_dir / value
        return value

    @importing_without_accelerators()
    def _named(self, name: str, keys: Keys) -> Any:
        """Return what `module.attribute`, or `module:attribute` or `file.py:attribute`, names."""
        try:
            if ":" in name:
                target = parse_target(name)
                if target.kind not in ("module", "path"):
                    raise BuildError(f"expected module.attribute or file.py:attribute, found {quoted(name)}")
                return import_named(target, self._base_dir, self._rootdir)
            return _import_dotted(name, self._rootdir)
        except BuildError as error:
            raise BuildError(f"{key_path(keys)}: {error}", keys=keys, where=error.where) from error

    # ------------------------------------------------------------------------------------------ lists

    def _list(self, value: Sequence[Any], options: Sequence[Any], keys: Keys) -> Any:
        as_list = [option for option in options if (get_origin(option) or option) in _COLLECTIONS]
        as_other = [option for option in options if _is_a(option, tuple) or (get_origin(option) or option) in _SETS]
        chosen = (*as_list, *as_other, Any)[0]
        made, parts = get_origin(chosen) or chosen, get_args(chosen)
        if _is_a(chosen, tuple) and hasattr(made, "_fields"):
            return self._made(made, dict(zip(made._fields, value, strict=False)), keys)
        if _is_a(chosen, tuple) and parts[-1:] != (...,):
            types = [*parts, *[Any] * len(value)]
        else:
            types = [parts[0] if parts else Any] * len(value)
        items = [self._value(item, types[index], (*keys, index)) for index, item in enumerate(value)]
        return made(items) if chosen in as_other else items

    # ------------------------------------------------------------------------------------------ maps

    def _map(self, value: Mapping[str, Any], options: Sequence[Any], keys: Keys) -> Any:
        called = next(iter(value), "")
        if len(value) == 1 and called.startswith(_REFERENCE) and isinstance(value[called], dict):
            place = (*keys, called)
            return self._made(self._named(called.removeprefix(_REFERENCE), place), value[called], place)
        if len(value) == 1 and called == "tuple" and isinstance(value[called], list):
            return tuple(self._value(item, Any, (*keys, called, i)) for i, item in enumerate(value[called]))
        as_map = [option for option in options if (get_origin(option) or option) in _MAPS or is_typed_dict(option)]
        classes = [found for option in options if (found := class_of(option)) is not None]
        if as_map or not classes:
            return self._plain_map(value, (*as_map, Any)[0], keys)
        failures: list[BuildError] = []
        for one in classes:
            try:
                return self._made(one, value, keys)
            except BuildError as error:
                failures.append(error)
        raise failures[0]

    def _plain_map(self, value: Mapping[str, Any], annotation: Any, keys: Keys) -> dict[Any, Any]:
        if is_typed_dict(annotation):
            return self._fields(annotations_of(annotation), value, keys)
        key_type, value_type = get_args(annotation) or (Any, Any)
        items = {key: self._value(item, value_type, (*keys, key)) for key, item in value.items()}
        # Keys are text in a spec, whatever they look like.
        return {int(key) if key_type is int and key.isdecimal() else key: item for key, item in items.items()}

    def _made(self, made: Any, value: Mapping[str, Any], keys: Keys) -> Any:
        """Call a class, or whatever a text has named, with a map's values."""
        name = f"{key_path(keys)}: {getattr(made, '__name__', made)}"
        if not callable(made):
            raise BuildError(f"{name} can't be called", keys=keys)
        if is_config_class(made):
            return build_config(made, {}, self._fields({}, value, keys), name, keys)
        if _is_a(made, collections.abc.Mapping):
            return _called(made, name, keys, self._plain_map(value, Any, keys))
        _check_names(made, value, name, keys)
        return _called(made, name, keys, **self._fields(annotations_of(made), value, keys))


def _called(made: Callable[..., Any], name: str, keys: Keys, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return made(*args, **kwargs)
    except (Exception, SystemExit) as error:
        where = raised_at(error, own_only=True)
        if not _is_pydantics(type(error)):
            raise BuildError(f"{name} raised {one_line(error)}", keys=keys, where=where) from error
        first = error.errors(include_url=False, include_context=False)[0]  # type: ignore[union-attr]
        place = (*keys, *first["loc"])
        message = f"{name} doesn't take {key_path(first['loc'])}: {first['msg']}, found {shown(first['input'])}"
        raise BuildError(message if first["loc"] else f"{name}: {first['msg']}", keys=place) from error


def _check_names(made: Callable[..., Any], value: Mapping[str, Any], name: str, keys: Keys) -> None:
    """Check a map's keys against the fields of a class."""
    fields = getattr(made, "model_fields", None)
    if not _is_pydantics(made) or not isinstance(fields, dict):
        try:
            check_arguments(made, value, name)
        except BuildError as error:
            raise BuildError(str(error), keys=(*keys, *error.keys)) from error
        return
    # A pydantic class takes fields by alias, and what it doesn't know without a word. What is missing it tells itself.
    accepted = [*fields, *(alias for field in fields.values() for alias in _aliases(field))]
    for key in value:
        if key not in accepted and made.model_config.get("extra") != "allow":  # type: ignore[attr-defined]
            raise BuildError(str(unknown_argument(name, key, list(fields))), keys=(*keys, key))


def _aliases(field: Any) -> list[str]:
    named = field.validation_alias
    return [one for one in (field.alias, named, *getattr(named, "choices", ())) if isinstance(one, str)]


def _is_pydantics(kind: Any) -> bool:
    """Whether a class is one of pydantic's: a model, or the error that a model raises."""
    bases = inspect.getmro(kind) if isinstance(kind, type) else ()
    return any(base.__module__.startswith(("pydantic.", "pydantic_core")) for base in bases)


def _member(kind: Any, value: Any, keys: Keys) -> Any:
    """Return the member of an Enum by its name or value."""
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    try:
        return kind(value)
    except ValueError as error:
        names = list(kind.__members__)
        close = did_you_mean(value, names) if isinstance(value, str) else ""
        message = f"{key_path(keys)}: {kind.__name__} has no {shown(value)}{close} (it has {listed(names)})"
        raise BuildError(message, keys=keys) from error


def _dtype(value: str, keys: Keys) -> torch.dtype:
    found = getattr(torch, value, None)
    if isinstance(found, torch.dtype):
        return found
    names = [name for name, one in vars(torch).items() if isinstance(one, torch.dtype)]
    close = did_you_mean(value.removeprefix("torch."), names)
    raise BuildError(f"{key_path(keys)}: torch has no dtype {value!r}{close}", keys=keys)


def _is_a(annotation: Any, kind: type) -> bool:
    found = get_origin(annotation) or annotation
    return isinstance(found, type) and issubclass(found, kind)


def _import_dotted(name: str, rootdir: Path | None) -> Any:
    """Import what `package.module.attribute` names: the modules as far as they go, then attributes."""
    if not all(part.isidentifier() for part in name.split(".")) or "." not in name:
        raise BuildError(f"expected module.attribute or file.py:attribute after `class:`, found {quoted(name)}")
    source, *rest = name.split(".")
    found: Any = import_module(source, rootdir)
    while rest and (module := _module_within(found, source, rest[0], rootdir)) is not None:
        found, source = module, f"{source}.{rest.pop(0)}"
    return find_attribute(found, Target(name, "module", source, ".".join(rest)), rootdir) if rest else found


def _module_within(module: ModuleType, source: str, name: str, rootdir: Path | None) -> ModuleType | None:
    """Return a package's module of a name; None where the name is something else, or isn't there."""
    with suppress(AbsentModuleError):
        try:
            found = getattr(module, name)
        except Exception:  # not imported so far, or none of its attributes
            return import_module(f"{source}.{name}", rootdir)
        return found if isinstance(found, ModuleType) else None
    return None
