"""The attributes of objects of any make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn


def attributes_of(value: Any) -> dict[str, Any]:
    """Return an object's attributes by name, be they in its `__dict__` or in slots."""
    held = getattr(value, "__dict__", None)
    slots = [name for kind in type(value).__mro__ for name in _as_names(vars(kind).get("__slots__", ()))]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name) and not name.startswith("__")}
    return {**found, **held} if isinstance(held, dict) else found


def _as_names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else [name for name in slots if isinstance(name, str)]


def is_closed(value: Any) -> bool:
    """Return whether an object is none that is looked into: a class, a module, a function, a generator."""
    return isinstance(value, type | nn.Module | Iterator) or callable(value)
