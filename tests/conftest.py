"""What all tests have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.preloaded import new_workers_preloaded

# Before torch is imported, here and in the processes that tests start. Networks as small as those here gain
# nothing from more threads, and wait for long where two of them share a busy processor. `pytest --archcheck` loads
# this file, too, and trains larger ones.
if "--archcheck" not in sys.argv:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def preloaded_workers() -> Iterator[None]:
    """The processes that measure start with torch imported."""
    with new_workers_preloaded():
        yield
