"""A module that a call leaves in another state than it found it in."""

from __future__ import annotations

from types import ModuleType

import pytest

from archcheck.dependencies.leftovers import Leftovers

MODULE = """
import functools, logging
CACHE, FOUND, LAST = {}, [], None
logger = logging.getLogger(__name__)

@functools.lru_cache
def cached(x): return x

def memoized(function):
    known = {}
    def call(x):
        return known.setdefault(x, function(x))
    return call

@memoized
def kept(x): return x

def plain(x): return [x]

def fills(x): CACHE[x] = {}
def fills_inside(x): CACHE.setdefault("all", {})[x] = 1
def appends(x): FOUND.append(x)

def rebinds(x):
    global LAST
    LAST = [x]

def default(x, known=[]): known.append(x)

class Registry:
    known = {}
    def __init__(self): self.items = set()
    @classmethod
    def on_class(cls, x): cls.known[x] = 1
    def on_self(self, x): self.items.add(x)
    @staticmethod
    @functools.cache
    def static(x): return x

REGISTRY = Registry()
def on_class(x): Registry.on_class(x)
def on_instance(x): REGISTRY.on_self(x)
def on_static(x): Registry.static(x)
def logs(x): logger.isEnabledFor(10)
def tags(x): plain.tag = x
"""


def called(name: str) -> bool:
    module = ModuleType("kept")
    exec(MODULE, vars(module))
    leftovers = Leftovers()
    leftovers.remember("kept.py", module)
    assert leftovers.changed(["kept.py", "other.py"]) == []
    getattr(module, name)(1)
    found = leftovers.changed(["kept.py", "other.py"])
    assert leftovers.changed(["kept.py"]) == []
    return found == ["kept.py"]


@pytest.mark.parametrize(
    "name",
    [
        "cached", "kept", "fills", "fills_inside", "appends", "rebinds", "default", "on_class", "on_instance",
        "on_static", "tags",
    ],
)  # fmt: skip
def test_it_is_noticed(name: str) -> None:
    assert called(name)


@pytest.mark.parametrize("name", ["plain", "logs"])
def test_it_is_as_it_was(name: str) -> None:
    assert not called(name)


def test_a_hit_of_a_cache_changes_nothing() -> None:
    module = ModuleType("kept")
    exec(MODULE, vars(module))
    module.cached(1)
    leftovers = Leftovers()
    leftovers.remember("kept.py", module)
    module.cached(1)
    assert leftovers.changed(["kept.py"]) == []


def test_what_is_too_large_to_look_through_is_never_the_same() -> None:
    module = ModuleType("kept")
    module.table = [[number] for number in range(100_000)]  # type: ignore[attr-defined]
    leftovers = Leftovers()
    leftovers.remember("kept.py", module)
    assert leftovers.changed(["kept.py"]) == ["kept.py"]
