"""Where the code that is timed comes from: an installed copy would be the same on both sides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from archcheck.throughput.code_provenance import explain_wrong_code

NOTHING = ""


class Machine:
    """A repository, and modules that were imported from wherever it's said."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tree, self.elsewhere = folder / "tree", folder / "elsewhere"
        self._monkeypatch = monkeypatch
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder.parent):
                monkeypatch.delitem(sys.modules, name)  # left there by another test
        self.tree.mkdir()
        subprocess.run(["git", "init", "-q", str(self.tree)], check=True)

    def track(self, *files: str) -> None:
        for file in files:
            (self.tree / file).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / file).touch()
        subprocess.run(["git", "-C", str(self.tree), "add", "."], check=True)

    def has_imported(self, name: str, file: Path) -> None:
        module = ModuleType(name)
        module.__file__ = str(file)
        self._monkeypatch.setitem(sys.modules, name, module)

    def verdict(self) -> str:
        return explain_wrong_code(str(self.tree), None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("tracked", "name", "file"),
    [
        (["netlib/__init__.py", "netlib/nets.py"], "netlib.nets", "netlib/nets.py"),
        (["src/netlib/__init__.py"], "netlib", "netlib/__init__.py"),
        (["python/netlib/__init__.py"], "netlib", "netlib/__init__.py"),
        (["python/netlib/nets.py"], "netlib.nets", "netlib/nets.py"),  # a namespace package
        (["mynets.py"], "mynets", "mynets.py"),
    ],
)
def test_a_copy_of_what_the_repository_has_is_told(machine: Machine, tracked: list[str], name: str, file: str) -> None:
    machine.track(*tracked)
    machine.has_imported(name, machine.elsewhere / file)
    assert machine.verdict() == (
        f"{name} comes from {machine.elsewhere}, not from {machine.tree}: install it editable (pip install -e .)"
    )


@pytest.mark.parametrize(
    ("tracked", "name", "file"),
    [
        (["netlib/__init__.py", "netlib/helpers.py"], "helpers", "helpers.py"),  # another module of that name
        (["netlib/_vendor/helpers.py"], "helpers", "helpers.py"),  # a copy that nobody need import
        (["netlib/types.py"], "types", "types.py"),  # Python's own
        (["netlib/nets.py"], "otherlib.nets", "otherlib/nets.py"),
    ],
)
def test_what_only_has_the_same_name_is_fine(machine: Machine, tracked: list[str], name: str, file: str) -> None:
    machine.track(*tracked)
    if name not in sys.modules:
        machine.has_imported(name, machine.elsewhere / file)
    assert machine.verdict() == NOTHING


def test_the_repositorys_own_code_is_fine(machine: Machine) -> None:
    machine.track("src/netlib/__init__.py")
    machine.has_imported("netlib", machine.tree / "src/netlib/__init__.py")
    assert machine.verdict() == NOTHING


def test_code_of_the_other_tree_is_told(machine: Machine) -> None:
    machine.has_imported("netlib.nets", machine.elsewhere / "src/netlib/nets.py")
    assert explain_wrong_code(str(machine.tree), str(machine.elsewhere)) == (
        f"netlib comes from {machine.elsewhere}, so that both sides would run the same code"
    )


def test_an_environment_inside_the_other_tree_is_no_code_of_it(machine: Machine) -> None:
    machine.has_imported("netlib", machine.elsewhere / ".venv/lib/python3.13/site-packages/netlib.py")
    assert explain_wrong_code(str(machine.tree), str(machine.elsewhere)) == NOTHING


def test_without_git_nothing_can_be_told(machine: Machine) -> None:
    machine.has_imported("netlib", machine.elsewhere / "netlib.py")
    assert explain_wrong_code(str(machine.elsewhere), None) == NOTHING
