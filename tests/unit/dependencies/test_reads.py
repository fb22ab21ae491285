"""Bytecode stands for its source, wherever Python puts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.dependencies.reads import source_of


@pytest.mark.parametrize("tag", ["cpython-311", "cpython-311.opt-1", "cpython-311-pytest-9.0.2"])
def test_bytecode_stands_for_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    source = tmp_path / "package" / "nets.py"
    source.parent.mkdir()
    source.touch()
    monkeypatch.setattr("sys.pycache_prefix", None)
    assert source_of(str(source.parent / "__pycache__" / f"nets.{tag}.pyc")) == str(source)
    monkeypatch.setattr("sys.pycache_prefix", str(tmp_path / "bytecode"))
    below = f"{tmp_path / 'bytecode'}{source.parent / f'nets.{tag}.pyc'}"
    assert source_of(below) == str(source)


def test_other_files_are_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.pycache_prefix", str(tmp_path / "bytecode"))
    (tmp_path / "nets.py").touch()
    for name in ("nets.py", "nets.pyc", "bytecode/nets.txt", "__pycache__/gone.cpython-311.pyc"):
        assert source_of(str(tmp_path / name)) == str(tmp_path / name)
