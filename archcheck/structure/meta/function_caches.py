"""Caches of functions in a network's own code: what a run on meta, or in another precision, leaves there is removed.

`functools.lru_cache` around a table of positions keeps the first one that it made. One without values, or in double
precision, would be what the user's next forward gets.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch import nn

_Cache: TypeAlias = "functools._lru_cache_wrapper[Any]"


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


def _caches(modules: Iterable[nn.Module]) -> Iterator[_Cache]:
    """Yield the caches among the functions and methods of the files that the networks' classes come from."""
    classes = {base for one in modules for base in type(one).__mro__}
    names = {one.__module__ for one in classes if not one.__module__.startswith(("torch.", "builtins"))}
    files = [sys.modules[name] for name in sorted(names) if name in sys.modules]
    for owner in (*files, *(one for one in classes if one.__module__ in names)):
        for value in list(vars(owner).values()):
            function = getattr(value, "__func__", value) if isinstance(value, staticmethod | classmethod) else value
            if isinstance(function, functools._lru_cache_wrapper):
                yield function
