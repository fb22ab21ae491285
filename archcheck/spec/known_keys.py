"""The keys that may stand at a place of a spec, in their order; read off the models, so that none can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from archcheck.findings import Keys
from archcheck.spec.models import Spec


def known_keys(place: Keys) -> tuple[str, ...]:
    """Return the keys of the section at a place, such as `("training", "quick")`; none where no section is."""
    types: list[Any] = [Spec]
    for part in place:
        types = [inner for one in types for inner in _types_inside(one, part)]
    return tuple(dict.fromkeys(key for one in types if _is_model(one) for key in one.model_fields))


def _types_inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Yield the types that one part of a value of type `kind` may have: of a model, a map, or a list."""
    if _is_model(kind):
        if part in kind.model_fields:
            yield from _alternatives(kind.model_fields[part].annotation)
    elif get_args(kind):
        yield from _alternatives(get_args(kind)[-1])


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, or else the type itself, without what `Annotated` says of them."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _alternatives(one)
    else:
        yield annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
