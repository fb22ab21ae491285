"""Caches of functions in a network's own code: what is left there on meta, or in another precision, is removed.

`functools.lru_cache` around a table of positions keeps the first one that it made. One without values, or in double
precision, would be what the user's next forward gets.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any, Final, TypeAlias

from torch import nn

from archcheck.structure.meta import failures

_NOT_OF_NETWORKS: Final = frozenset({"torch", "builtins", "archcheck"})  # packages
_MAX_WRAPPERS: Final = 3  # decorators around a cached function
_Cache: TypeAlias = "functools._lru_cache_wrapper[Any]"


def empty_function_caches(modules: Iterable[nn.Module] = (), error: BaseException | None = None) -> None:
    """Empty the caches of functions in the code of networks that were built, and in that which raised an error."""
    frames = (frame for one in failures.chain(error) for frame, _ in traceback.walk_tb(one.__traceback__))
    raising = {str(frame.f_globals.get("__name__")) for frame in frames}
    for cache in _caches(modules, raising):
        cache.cache_clear()


@contextmanager
def unchanged_function_caches(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Empty those caches that something was put in within the block, of functions in the code of the networks."""
    before = {id(one): (one, one.cache_info().misses) for one in _caches(modules)}
    try:
        yield
    finally:
        for cache, misses in before.values():
            if cache.cache_info().misses != misses:
                cache.cache_clear()


def _caches(modules: Iterable[nn.Module], more: Iterable[str] = ()) -> Iterator[_Cache]:
    """Yield the caches of functions and methods in the files that the networks' classes come from, and in `more`."""
    classes = {base for one in modules for base in type(one).__mro__}
    names = {one.__module__ for one in classes} | set(more)
    names = {name for name in names if name.partition(".")[0] not in _NOT_OF_NETWORKS}
    files = [sys.modules[name] for name in sorted(names) if name in sys.modules]
    for owner in (*files, *(one for one in classes if one.__module__ in names)):
        for value in list(vars(owner).values()):
            yield from _caches_in(value, _MAX_WRAPPERS)


def _caches_in(value: object, depth: int) -> Iterator[_Cache]:
    """Yield the cache that a function is, or those in the closures of what is wrapped around it."""
    if isinstance(value, functools._lru_cache_wrapper):
        yield value
    elif isinstance(value, staticmethod | classmethod):
        yield from _caches_in(value.__func__, depth)
    elif isinstance(value, property):
        yield from _caches_in(value.fget, depth)
    elif isinstance(value, FunctionType) and depth:
        for cell in value.__closure__ or ():
            with suppress(ValueError):  # an empty one
                yield from _caches_in(cell.cell_contents, depth - 1)
