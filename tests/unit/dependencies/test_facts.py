"""Facts and their values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archcheck.dependencies.facts import LARGE_BYTES, Fact, Surroundings, file_fact, listing_fact, variable_fact


def value(fact: Fact) -> str:
    return Surroundings([]).value(fact)


def test_a_file_is_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    assert value(file_fact(str(file))) == "absent"
    file.write_text("a")
    before = value(file_fact(str(file)))
    os.utime(file, (0, 0))
    assert value(file_fact(str(file))) == before
    file.write_text("b")
    assert value(file_fact(str(file))) != before
    assert value(file_fact(str(tmp_path))) == "folder"


def test_a_link_is_where_it_leads_as_well(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("same")
    (tmp_path / "link").symlink_to("one")
    fact = file_fact(str(tmp_path / "link" / "a.txt"))
    before = value(fact)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    assert value(fact) != before


def test_a_file_in_an_archive_is_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "nets.zip"
    archive.write_bytes(b"one")
    before = value(file_fact(str(archive / "nets.py")))
    archive.write_bytes(b"two")
    assert value(file_fact(str(archive / "nets.py"))) != before


def test_a_file_is_what_it_was_when_it_was_read_first(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a")
    surroundings = Surroundings([])
    before = surroundings.value(file_fact(str(file)))
    file.write_text("b")
    assert surroundings.value(file_fact(str(file))) == before


def test_a_large_file_is_read_again_only_when_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(b"a" * LARGE_BYTES)
    first = Surroundings([])
    content = first.value(file_fact(str(file)))
    signature, _ = first.large[str(file)]
    # A value that no reading would give shows that the file wasn't read.
    assert Surroundings([], {str(file): (signature, "kept")}).value(file_fact(str(file))) == "kept"
    file.write_bytes(b"b" * LARGE_BYTES)
    assert Surroundings([], {str(file): (signature, content)}).value(file_fact(str(file))) != content


def test_a_folder_is_its_names(tmp_path: Path) -> None:
    before = value(listing_fact(str(tmp_path)))
    (tmp_path / "__pycache__").mkdir()
    assert value(listing_fact(str(tmp_path))) == before
    (tmp_path / "a.txt").touch()
    assert value(listing_fact(str(tmp_path))) != before


def test_variables_that_were_set_for_a_process_are_as_they_were_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_WIDTH", raising=False)
    monkeypatch.setenv("ZOO_DEPTH", "3")
    before = [value(variable_fact(name)) for name in ("ZOO_WIDTH", "ZOO_DEPTH")]
    monkeypatch.setenv("ZOO_WIDTH", "4")
    monkeypatch.setenv("ZOO_DEPTH", "5")
    surroundings = Surroundings([])
    surroundings.set_variables({"ZOO_WIDTH": None, "ZOO_DEPTH": "3"})
    assert [surroundings.value(variable_fact(name)) for name in ("ZOO_WIDTH", "ZOO_DEPTH")] == before


def test_a_variable_is_what_it_was_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTH", "secret")
    surroundings = Surroundings([])
    monkeypatch.setenv("WIDTH", "4")
    found = surroundings.value(variable_fact("WIDTH"))
    assert "secret" not in found
    assert found != value(variable_fact("WIDTH"))
    assert value(variable_fact("WIDTH_OF_NOTHING")) == "absent"
