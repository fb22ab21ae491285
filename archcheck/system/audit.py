"""Tells whoever watches this process, by Python's audit events, what it couldn't see by itself; else does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

IMPORTED, UNSEEN = "archcheck.imported", "archcheck.unseen"
SHARING, SHARED = "archcheck.sharing", "archcheck.shared"
BUILDING, BUILT = "archcheck.building", "archcheck.built"


def tell_imported(module: ModuleType) -> None:
    """Tell that a build target's module is taken, whether it was imported now or before."""
    sys.audit(IMPORTED, module)


def tell_unseen(reason: str) -> None:
    """Tell that something is read in another process, in a sentence on the check that is running."""
    sys.audit(UNSEEN, reason)


@contextmanager
def building() -> Iterator[None]:
    """Tell that a network is built inside: a library's registry may call code that nobody imports by name."""
    sys.audit(BUILDING)
    try:
        yield
    finally:
        sys.audit(BUILT)


@contextmanager
def shared(key: str) -> Iterator[None]:
    """Tell that what is made inside is kept under a key: what was read for it counts for whoever asks again."""
    sys.audit(SHARING, key)
    try:
        yield
    finally:
        sys.audit(SHARED, key)
