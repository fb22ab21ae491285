"""Files written at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from archcheck.system.files import written_at_once


def test_the_file_appears_when_the_block_is_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_at_once(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_block_that_raises_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError, match="bytes-like"), written_at_once(path) as file:
        file.writelines([b"new", None])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with written_at_once(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_permissions_stay_and_a_new_file_has_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "old").touch(mode=0o640)
    (tmp_path / "usual").touch()
    for name in ("old", "new"):
        with written_at_once(tmp_path / name) as file:
            file.write(b"new")
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), written_at_once(tmp_path / "nowhere" / "a.txt"):
        pass
