"""What the annotations of a call or a class say, as types; those that can't be looked up are left out."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from archcheck.network.signatures import written_annotations


def annotations_of(call: Any) -> dict[str, Any]:
    """Return the types of what a function or class takes, by name.

    A class's fields count as well as its constructor. What a text names may be missing, as with imports for type
    checkers only: that argument is left out.
    """
    while isinstance(call, functools.partial):
        call = call.func
    if not isinstance(call, type):
        return _resolved(inspect.unwrap(call) if inspect.isroutine(call) else type(call).__call__, {})
    found: dict[str, Any] = {}
    for base in reversed(call.__mro__):
        names = vars(sys.modules.get(base.__module__, types))
        found |= _evaluated(base, names, vars(base))
    found |= _resolved(_constructor(call), vars(call))
    config_class = getattr(call, "config_class", None)  # networks of transformers say it so, too
    return {"config": config_class, **found} if isinstance(config_class, type) else found


def _constructor(owner: type) -> Callable[..., Any]:
    makers = {name: inspect.getattr_static(owner, name) for name in ("__init__", "__new__")}
    own = next((made for made in makers.values() if made not in vars(object).values()), object.__init__)
    made: Callable[..., Any] = inspect.unwrap(getattr(own, "__func__", own))
    return made


def _resolved(function: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    function = getattr(function, "__func__", function)
    return _evaluated(function, getattr(function, "__globals__", {}), names)


def _evaluated(annotated: Any, names: Mapping[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate annotations one by one, so that one which can't be doesn't hide the others."""
    found: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    with suppress(TypeError):  # builtins have none
        annotations = written_annotations(annotated)
    known = {**owner, **vars(builtins), **names}  # as type checkers look them up, a class's own names at last
    for name, annotation in annotations.items():
        one = types.SimpleNamespace(__annotations__={name: annotation})
        with suppress(Exception):
            found |= get_type_hints(one, known)
    return found


def plain_type(annotation: Any) -> Any:
    """Return an annotation without what says nothing of the value: `Annotated`, `NewType`, `InitVar`, an alias."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        elif type(annotation).__name__ == "TypeAliasType":  # since Python 3.12
            annotation = annotation.__value__
        else:
            return annotation


def options_of(annotation: Any) -> list[Any]:
    """Return the types that a value may have, without None: those of a union, or the one itself."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    return [plain_type(option) for option in get_args(annotation) if option is not type(None)]


def is_text(annotation: Any) -> bool:
    """Whether an annotation takes text as it is."""
    return annotation is str or get_origin(annotation) is Literal


def class_of(annotation: Any) -> type | None:
    """Return the class that an annotation names, with or without parameters, where there is one to make."""
    found = get_origin(annotation) or annotation
    if not isinstance(found, type) or found is type or found.__module__ in ("builtins", "typing"):
        return None
    return None if inspect.isabstract(found) or getattr(found, "_is_protocol", False) else found


def is_typed_dict(annotation: Any) -> bool:
    """Whether an annotation is a TypedDict, which is a dict to the code that gets it."""
    return typing.is_typeddict(annotation)
