"""Where a name is found, by the files alone."""

from __future__ import annotations

import importlib.machinery
from pathlib import Path

import pytest

from archcheck.dependencies.names import resolve, submodule


@pytest.fixture
def path(tmp_path: Path) -> list[str]:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    return [str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "absent")]


def write(path: list[str], place: int, name: str) -> None:
    file = Path(path[place], name)
    file.parent.mkdir(exist_ok=True)
    file.touch()


@pytest.mark.parametrize("name", ["nets.py", "nets/__init__.py", "nets.abi3.so"])
def test_the_first_module_of_a_name_counts(path: list[str], name: str) -> None:
    write(path, 1, name)
    before = resolve("nets", path, {})
    write(path, 1, "other.py")
    assert resolve("nets", path, {}) == before
    write(path, 0, name)
    assert resolve("nets", path, {}) != before
    spec = importlib.machinery.PathFinder.find_spec("nets", path)
    assert spec is not None
    assert spec.origin == str(Path(path[0], name))


def test_all_folders_of_a_namespace_count(path: list[str]) -> None:
    write(path, 0, "nets/one.py")
    before = resolve("nets", path, {})
    write(path, 1, "nets/two.py")
    both = resolve("nets", path, {})
    assert both != before
    spec = importlib.machinery.PathFinder.find_spec("nets", path)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    assert list(spec.submodule_search_locations) == [str(Path(one, "nets")) for one in path[:2]]
    write(path, 1, "nets/__init__.py")
    assert resolve("nets", path, {}) != both


def test_a_package_stands_before_a_module(path: list[str]) -> None:
    write(path, 0, "nets.py")
    before = submodule(path[0], "nets", {})
    write(path, 0, "nets/__init__.py")
    assert submodule(path[0], "nets", {}) != before


def test_what_is_not_there_is_nothing(path: list[str]) -> None:
    write(path, 0, "nets.txt")
    write(path, 0, "nets_too.py")
    assert resolve("nets", path, {}) == ""
