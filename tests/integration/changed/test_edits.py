"""One thing is edited at a time, and `--archcheck-changed` verifies exactly the specs whose result could be another."""

from __future__ import annotations

import _lsprof
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.changed.zoo_project import OF_ZOO, SPECS, UNKNOWN, edit, run_changed, verified, write_zoo
from tests.integration.project import Project


def editing(name: str) -> Callable[[Path], None]:
    return lambda root: edit(root / name)


def writing(name: str, text: str = "") -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / name).write_text(text)

    return write


def setting(name: str, value: str) -> Callable[[Path], None]:
    return lambda root: os.environ.update({name: value})


def relink(root: Path) -> None:
    (root / "zoo" / "version.py").unlink()
    (root / "zoo" / "version.py").symlink_to("version_2.py")


def upgrade(root: Path) -> None:
    (root / "site" / "widelib-1.0.dist-info").rename(root / "site" / "widelib-1.1.dist-info")


EDITS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "nothing": (lambda root: None, set()),
    "a spec": (editing("specs/plain.arch.yaml"), {"plain"}),
    "a lock beside a spec": (writing("specs/plain.arch.lock", "{}"), {"plain"}),
    "a helper two imports away": (editing("zoo/layers/helper.py"), {"helper"}),
    "a base class": (editing("zoo/layers/base.py"), {"base"}),
    "the package of both": (editing("zoo/layers/__init__.py"), {"helper", "base"}),
    "the package of all": (editing("zoo/__init__.py"), OF_ZOO),
    "a configuration": (editing("zoo/conf/small.yaml"), {"small"}),
    "another configuration": (editing("zoo/conf/large.yaml"), {"large"}),
    "a file that the first has left in a cache": (editing("zoo/width.txt"), {"cached", "cached-too"}),
    "a data file": (editing("zoo/table.bin"), {"data"}),
    "a variable": (setting("ZOO_WIDTH", "4"), {"variable"}),
    "a variable that a module has read": (setting("ZOO_FLAG", ""), {"flagged", "flagged-too"}),
    "a variable that nobody reads": (setting("ZOO_OTHER", "1"), set()),
    "a module imported in functions": (editing("zoo/rare.py"), {"lazy", "lazy-too"}),
    "a module imported by name": (editing("zoo/parts/second.py"), {"second"}),
    "one that another imports, too": (editing("zoo/parts/first.py"), {"first", "second"}),
    "a file that is executed": (editing("zoo/loose_file.py"), {"file"}),
    "a library's version": (upgrade, {"library", "a-registered", "by-registry"}),
    "a C extension": (editing(f"zoo/{Path(_lsprof.__file__).name}"), {"extension"}),
    "a linked file": (editing("zoo/version_1.py"), {"link"}),
    "where a link leads": (relink, {"link"}),
    "a module in front of another": (writing("tool.py", "WIDTH = 4\n"), {"tool"}),
    "a file in a folder that is listed": (writing("zoo/pieces/second.txt"), {"listing"}),
    "a file that is looked for": (writing("no_bias"), {"existence"}),
    "a file in a folder known by its descriptor": (editing("zoo/depths/one.txt"), {"descriptor"}),
    "another that is looked for there": (editing("zoo/depths/two.txt"), {"descriptor"}),
    "a file that goes": (lambda root: (root / "zoo" / "optional.txt").unlink(), {"optional"}),
    "a module that was missing": (writing("zoo/fast_layer.py"), {"optional"}),
    "a module that registers itself": (editing("zoo/plugins/wide.py"), {"registered"}),
    "another that will": (writing("zoo/plugins/narrow.py"), {"registered"}),
    "the module it registers with": (editing("zoo/registry.py"), {"registered"}),
    "a submodule that is an attribute": (editing("zoo/lazy_package/inner.py"), {"attribute", "attribute-too"}),
    "code that only a library's registry knows": (editing("zoo/odd.py"), {"a-registered", "by-registry"}),
    "a module beside a file": (editing("alone/beside.py"), {"alone"}),
    "a module beside a file that its forward imports": (editing("late/late_beside.py"), {"late"}),
    "a module that nobody imports": (writing("zoo/unused.py"), set()),
    "a conftest": (writing("specs/conftest.py"), set(SPECS)),
    "its content": (editing("specs/conftest.py"), set(SPECS)),
    "the ini file": (editing("pytest.ini"), set(SPECS)),
}


@pytest.mark.parametrize("where", [(), ("--archcheck-executor", "processes:1")], ids=["here", "elsewhere"])
def test_exactly_what_an_edit_affects_is_verified(
    project: Project, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]
) -> None:
    for name in ("ZOO_WIDTH", "ZOO_FLAG", "ZOO_OTHER"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that it's put back
        monkeypatch.delenv(name)
    write_zoo(project)
    first = run_changed(project, *where)
    assert first.ret == 0, first.stdout.str()
    assert verified(first) == {*SPECS, *UNKNOWN}
    found = {}
    edits = EDITS if not where else {what: EDITS[what] for what in list(EDITS)[1::5]}  # elsewhere they take longer
    for what, (make, _) in edits.items():
        make(project.path)
        result = run_changed(project, *where)
        assert result.ret == 0, result.stdout.str()
        found[what] = verified(result)
    # What nobody can know of runs every time.
    assert found == {what: affected | set(UNKNOWN) for what, (_, affected) in edits.items()}
