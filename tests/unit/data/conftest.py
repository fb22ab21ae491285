"""What the tests of data sets share: contexts and generated images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from archcheck.data.context import DataContext


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataContext]:
    """A context of tmp_path, with other fields as given; the user's cache is tmp_path/cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(**fields: Any) -> DataContext:
        defaults = {"rootdir": None, "data_dir": None, "download": False, "image_size": None, "budget_bytes": None}
        return DataContext(**{"base_dir": tmp_path, **defaults, **fields})

    return make


@pytest.fixture
def write_image(tmp_path: Path) -> Callable[..., Path]:
    """Writes a PNG of one colour, or with a gradient, below tmp_path."""

    def write(name: str, colour: Any = (10, 20, 30), size: tuple[int, int] = (6, 4), mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size[::-1], colour).save(path)
        return path

    return write


@pytest.fixture
def photos(write_image: Callable[..., Path]) -> None:
    """An image folder `photos` of cats and dogs below tmp_path: five images to train on, four to test on."""
    for part in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            write_image(f"photos/{part}/{name}/b.png", (index, 2, 3))
            write_image(f"photos/{part}/{name}/deep/a.png", (index, 5, 6))
    write_image("photos/train/dog/notes.txt.png", (9, 9, 9))
