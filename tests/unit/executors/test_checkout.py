from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.executors.checkout import ROOT_VARIABLE, digest_of_sources, digest_of_spec, find_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("nets.py", "package/layers.py", "specs/a.arch.yaml", "specs/a.arch.lock", "width.json", "notes.txt"):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return tmp_path / "here"


@pytest.mark.parametrize(
    "name", ["nets.py", "package/layers.py", "specs/a.arch.yaml", "specs/a.arch.lock", "width.json"]
)
def test_other_contents_are_another_digest(root: Path, name: str) -> None:
    before = digest_of_sources(root)
    (root / name).write_text("something else")
    assert digest_of_sources(root) != before


@pytest.mark.parametrize("name", ["new.py", "package/new.yaml"])
def test_another_file_is_another_digest(root: Path, name: str) -> None:
    before = digest_of_sources(root)
    (root / name).write_text("")
    assert digest_of_sources(root) != before


def test_a_renamed_file_is_another_digest(root: Path) -> None:
    before = digest_of_sources(root)
    (root / "nets.py").rename(root / "networks.py")
    assert digest_of_sources(root) != before


@pytest.mark.parametrize(
    "name",
    [".venv/nets.py", "env/pyvenv.cfg", "env/lib/torch.py", "__pycache__/nets.py", "a.egg-info/x.toml", "data.bin"],
)
def test_what_is_no_source_of_the_checkout_does_not_count(root: Path, name: str) -> None:
    (root / "env").mkdir()
    (root / "env" / "pyvenv.cfg").write_text("")
    before = digest_of_sources(root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("something")
    assert digest_of_sources(root) == before


def test_what_the_run_itself_writes_does_not_count(root: Path) -> None:
    before = digest_of_sources(root, ["run.json"])
    (root / "run.json").write_text("{}")
    assert digest_of_sources(root, ["run.json"]) == before


def test_a_digest_does_not_depend_on_the_folder(root: Path, tmp_path: Path) -> None:
    before = digest_of_sources(root)
    assert digest_of_sources(root.rename(tmp_path / "elsewhere")) == before


def test_a_link_to_nothing_is_a_file_like_others(root: Path) -> None:
    before = digest_of_sources(root)
    (root / "gone.py").symlink_to(root / "nowhere.py")
    assert digest_of_sources(root) != before


@pytest.mark.parametrize("name", ["a.arch.yaml", "a.arch.lock"])
def test_a_spec_and_its_lock_have_one_digest(root: Path, name: str) -> None:
    before = digest_of_spec(root / "specs/a.arch.yaml")
    (root / "specs" / name).write_text("something else")
    assert digest_of_spec(root / "specs/a.arch.yaml") != before


def test_the_checkout_is_at_the_same_path_or_where_the_variable_says(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_root(str(root), "specs/a.arch.yaml") == root
    assert find_root("/no/such/folder", "specs/a.arch.yaml") is None
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    assert find_root("/no/such/folder", "specs/a.arch.yaml") == root
    monkeypatch.delenv(ROOT_VARIABLE)
    monkeypatch.chdir(root)
    assert find_root("/no/such/folder", "specs/a.arch.yaml") == root
