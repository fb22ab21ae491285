from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archcheck.network.imports import file_of, folders_released


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; `sys.path` is as before afterwards, and whatever was imported from there is forgotten."""
    before, path = set(sys.modules), list(sys.path)
    with folders_released():
        yield tmp_path
    assert sys.path == path
    for name in sys.modules.keys() - before:
        if (file_of(sys.modules[name]) or "").startswith(str(tmp_path)):
            del sys.modules[name]
