"""What modules keep from one run to the next: caches, registries, globals.

A file that one run has read may serve another one from a cache, unseen. So where a run leaves a module in another state
than it found it in, what that run has read counts for everybody who imports the module.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

_MAX_DEPTH, _MAX_PARTS = 8, 20_000
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CACHED = type(functools.lru_cache(lambda: None))


class Leftovers:
    """The state of modules when they were last looked at."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._states: dict[str, object] = {}

    def remember(self, file: str, module: ModuleType) -> None:
        """Look at a module for the first time, right after it was imported."""
        if file not in self._states:
            self._modules[file] = module
            self._states[file] = _state(module)

    def changed(self, files: Iterable[str]) -> list[str]:
        """Return those of the files whose modules are in another state than when they were last looked at."""
        found = []
        for file in files:
            if file in self._modules:
                state = _state(self._modules[file])
                if state != self._states[file]:
                    self._states[file] = state
                    found.append(file)
        return found


def _state(module: ModuleType) -> object:
    """Return something that differs where anything that can be reached from a module's globals has changed."""
    parts: list[object] = []
    seen: set[int] = set()
    waiting: list[tuple[object, int]] = [(value, 0) for value in _globals(module)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, _PLAIN):
            parts.append(value)
            continue
        parts.append(id(value))
        if id(value) in seen or depth > _MAX_DEPTH:
            continue
        seen.add(id(value))
        waiting += [(one, depth + 1) for one in _inside(value, module.__name__, parts)]
        if len(parts) > _MAX_PARTS:
            return object()  # too much to look at: never the same
    return parts


def _globals(module: ModuleType) -> list[object]:
    names = [name for name in vars(module) if not (name.startswith("__") and name.endswith("__"))]
    values = [(name, vars(module)[name]) for name in names]
    # A submodule becomes an attribute whenever somebody imports it, which is known otherwise.
    return [part for name, value in values if not isinstance(value, ModuleType) for part in (name, value)]


def _inside(value: Any, module: str, parts: list[object]) -> list[object]:
    """Return what is inside a value; what it only counts goes to `parts`."""
    if isinstance(value, dict):
        return [part for item in list(value.items()) for part in item]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        parts.append(len(value))
        return list(value)
    if isinstance(value, _CACHED):
        parts.append(tuple(value.cache_info())[1:])  # hits change nothing
        return [value.__wrapped__]
    if isinstance(value, FunctionType):
        return list(_inside_function(value)) if value.__module__ == module else []
    if isinstance(value, type):
        own = list(vars(value).items()) if value.__module__ == module else []
        return [item for name, item in own if not name.startswith("__")]
    return _inside_object(value, parts)


def _inside_object(value: Any, parts: list[object]) -> list[object]:
    if isinstance(value, (MethodType, staticmethod, classmethod)):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, (ModuleType, logging.Logger)):
        return []
    parts.append(_version(value))
    return list(_attributes(value).values())


def _inside_function(function: FunctionType) -> Iterator[object]:
    yield from (function.__dict__, function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _attributes(value: object) -> dict[str, object]:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _version(value: object) -> object:
    """Return how often a tensor was written to; None of anything else."""
    try:
        found = object.__getattribute__(value, "_version")
    except Exception:  # an object may raise anything
        return None
    return found if isinstance(found, int) else None
