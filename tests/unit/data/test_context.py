"""The folders that data is looked for in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archcheck.data.context import DataContext, default_data_dir
from archcheck.errors import NotMeasured

MakeContext = Callable[..., DataContext]


def test_the_users_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/archcheck")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert default_data_dir() == Path("/home/me/.cache/archcheck")


def test_the_data_folder_is_the_users_own_or_the_cache(context: MakeContext, tmp_path: Path) -> None:
    assert context(data_dir=tmp_path / "mine").data_folder == tmp_path / "mine"
    assert context().data_folder == tmp_path / "cache" / "archcheck"


def test_a_path_counts_from_the_specs_folder_before_the_data_folder(context: MakeContext, tmp_path: Path) -> None:
    specs, data = tmp_path / "specs", tmp_path / "data"
    for folder in (specs, data):
        folder.mkdir()
        (folder / "both.csv").touch()
    (data / "one.csv").touch()
    made = context(base_dir=specs, data_dir=data)
    assert made.find("both.csv", "the table") == specs / "both.csv"
    assert made.find("one.csv", "the table") == data / "one.csv"
    assert made.find(str(data / "one.csv"), "the table") == data / "one.csv"


def test_a_path_that_is_nowhere_is_told_with_every_place(context: MakeContext, tmp_path: Path) -> None:
    message = rf"the table x.csv is not on this machine \(looked at {tmp_path}/x.csv and {tmp_path}/d/x.csv\): put it"
    with pytest.raises(NotMeasured, match=message):
        context(data_dir=tmp_path / "d").find("x.csv", "the table")


def test_a_name_too_long_for_a_file_is_nowhere(context: MakeContext) -> None:
    with pytest.raises(NotMeasured, match="is not on this machine"):
        context().find("x" * 5000, "the table")
