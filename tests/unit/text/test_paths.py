"""Paths as messages show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.text.paths import path_below, path_from


@pytest.mark.parametrize(
    ("path", "start", "shown"),
    [("/a/specs/x.yaml", "/a", "specs/x.yaml"), ("/b/x.yaml", "/a/c", "../../b/x.yaml"), ("/a", "/a", ".")],
)
def test_a_path_from_a_folder(path: str, start: str, shown: str) -> None:
    assert path_from(Path(path), Path(start)) == shown


def test_a_path_below_the_first_folder_that_it_lies_in(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    assert path_below(inner / "x.py", tmp_path, inner) == "inner/x.py"
    assert path_below(inner / "x.py", tmp_path / "other", inner) == "x.py"


def test_a_path_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_below(tmp_path / "x" / "y.py", Path("/elsewhere")) == "x/y.py"


def test_a_path_below_no_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_below(Path("/elsewhere/y.py")) == "/elsewhere/y.py"
    assert path_below(Path("y.py")) == "y.py"


def test_a_path_that_would_break_the_line_is_quoted() -> None:
    assert path_below(Path("/elsewhere/a\nb")) == r"'/elsewhere/a\nb'"


def test_a_working_directory_that_is_gone_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert path_below(Path("/elsewhere/y.py"), Path("/elsewhere")) == "y.py"
    monkeypatch.chdir(tmp_path)
