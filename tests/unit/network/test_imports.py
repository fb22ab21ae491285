"""Files and modules are imported beside each other, and leave `sys.modules` as it was."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from archcheck.network.build import build_network
from archcheck.network.imports import file_of, folders_released, importing
from archcheck.spec.target import parse_target
from tests.unit.network.user_files import FACTORY, failure, write


def out_features(target: str, folder: Path, rootdir: Path | None = None) -> Any:
    return build_network(target, {}, folder, rootdir).out_features


def test_a_file_is_imported_once(folder: Path) -> None:
    write(folder, model_once="from torch import nn\nclass Net(nn.ReLU): pass\n")
    again = build_network("specs/../model_once.py:Net", {}, folder)
    assert type(build_network("model_once.py:Net", {}, folder)) is type(again)


@pytest.mark.parametrize("late", [False, True])
def test_files_of_one_name_in_two_folders_keep_their_siblings(late: bool, folder: Path) -> None:
    code = FACTORY.format(*("", "from sizes_x import width") if late else ("from sizes_x import width", ""))
    write(folder, a__model_x=code, a__sizes_x="width = 3", b__model_x=code, b__sizes_x="width = 5")
    for _ in range(2):
        assert out_features("model_x.py:net", folder / "a") == 3
        assert out_features("model_x.py:net", folder / "b") == 5
    with folders_released():
        pass
    assert sys.modules["sizes_x"].width == 3


LAZY = """\
import importlib, threading
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        {}
        return x * width

    def in_a_thread(self, x):
        found = []
        thread = threading.Thread(target=lambda: found.append(self.forward(x)))
        thread.start()
        thread.join()
        return found[0]
"""
STATEMENTS = {
    "from": "from sizes_l import width",
    "import": "import sizes_l; width = sizes_l.width",
    "by name": "width = importlib.import_module('sizes_l').width",
    "of a package": "import pkg_l.sizes; width = pkg_l.sizes.width",
    "from a package": "from pkg_l import sizes; width = sizes.width",
    "of a folder": "from space_l.sizes import width",
}


def write_lazy(folder: Path, statement: str, width: int) -> None:
    write(folder, lazy_l=LAZY.format(statement), sizes_l=f"width = {width}", pkg_l__sizes=f"width = {width}")
    write(folder, space_l__sizes=f"width = {width}")
    (folder / "pkg_l" / "__init__.py").touch()


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("method", ["forward", "in_a_thread"])
def test_a_forward_imports_what_lies_beside_its_file(statement: str, method: str, folder: Path) -> None:
    finders = list(sys.meta_path)
    for name, width in (("a", 3), ("b", 5)):
        write_lazy(folder / name, STATEMENTS[statement], width)
    with folders_released():
        for _ in range(2):
            for name, width in (("a", 3), ("b", 5), ("b", 5)):
                network = build_network("lazy_l.py:Net", {}, folder / name, folder)
                assert [getattr(network, method)(1) for _ in range(2)] == [width, width]
    assert sys.meta_path == finders
    write(folder / "b", other_l="")
    with pytest.raises(ModuleNotFoundError, match="other_l"):
        importlib.import_module("other_l")


def test_a_forward_imports_what_lies_in_rootdir_and_in_src(folder: Path) -> None:
    write(folder, specs__lazy_n=LAZY.format("from wide_n import width"), wide_n="from deep_n import width")
    write(folder, src__deep_n="width = 7")
    with folders_released():
        assert build_network("lazy_n.py:Net", {}, folder / "specs", folder)(1) == 7
        assert build_network("specs.lazy_n:Net", {}, folder, folder)(1) == 7


def test_libraries_find_a_neighbour_of_the_network_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's own code finds it first, as plain Python does; a library finds what it means."""
    write(folder, nets__lazy_o=LAZY.format("from sizes_o import width"), nets__sizes_o="width = 3", sizes_o="width = 5")
    write(folder, nets__only_o="width = 9")
    monkeypatch.syspath_prepend(str(folder))
    with folders_released():
        network = build_network("lazy_o.py:Net", {}, folder / "nets")
        assert pkgutil.resolve_name("sizes_o:width") == 5
        del sys.modules["sizes_o"]
        assert network(1) == 3
        assert pkgutil.resolve_name("only_o:width") == 9


def test_a_module_imported_otherwise_is_what_a_forward_finds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, nets__lazy_p=LAZY.format("from sizes_p import width"), nets__sizes_p="width = 3", sizes_p="width = 5")
    with monkeypatch.context() as environment:
        environment.syspath_prepend(str(folder))
        import sizes_p  # type: ignore[import-not-found]
    with folders_released():
        assert build_network("lazy_p.py:Net", {}, folder / "nets")(1) == 5
    assert sys.modules["sizes_p"] is sizes_p


def test_other_code_that_is_called_meanwhile_has_its_own_modules(folder: Path) -> None:
    """Such as what makes inputs, and lies in another folder."""
    for name, width in (("a", 3), ("b", 5)):
        write(folder / name, lazy_i=LAZY.format("from sizes_i import width"), sizes_i=f"width = {width}")
    with folders_released():
        network = build_network("lazy_i.py:Net", {}, folder / "a")
        with importing(parse_target("lazy_i.py:Net"), folder / "b", None):
            other = importlib.import_module("sizes_i").width
        assert (network(1), other) == (3, 5)


def test_files_may_import_from_rootdir(folder: Path) -> None:
    write(folder, widths_y="width = 6", specs__model_y=FACTORY.format("from widths_y import width", ""))
    assert out_features("model_y.py:net", folder / "specs", folder) == 6


def test_packages_in_src_are_found_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After those of rootdir, and those that are installed."""
    write(folder, src__model_s=FACTORY.format("width = 3", ""))
    assert out_features("model_s:net", folder / "specs", folder) == 3
    write(folder, src__model_t=FACTORY.format("width = 3", ""), model_t=FACTORY.format("width = 5", ""))
    assert out_features("model_t:net", folder / "specs", folder) == 5
    write(folder, src__model_u=FACTORY.format("width = 3", ""), installed__model_u=FACTORY.format("width = 7", ""))
    with monkeypatch.context() as environment:
        environment.syspath_prepend(folder / "installed")
        assert out_features("model_u:net", folder / "specs", folder) == 7


def test_a_src_that_stands_on_the_path_keeps_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, src__model_v=FACTORY.format("width = 3", ""))
    with monkeypatch.context() as environment:
        environment.syspath_prepend(folder / "src")
        path = list(sys.path)
        assert out_features("model_v:net", folder / "specs", folder) == 3
        assert sys.path == path


def test_files_import_packages_in_src(folder: Path) -> None:
    write(folder, src__widths_w="width = 6", models__model_w=FACTORY.format("from widths_w import width", ""))
    assert out_features("../models/model_w.py:net", folder / "specs", folder) == 6


def test_two_rootdirs_may_have_packages_of_one_name_in_src(folder: Path) -> None:
    for name, width in (("a", 3), ("b", 5)):
        write(folder / name, src__model_q=FACTORY.format(f"width = {width}", ""))
    for _ in range(2):
        assert out_features("model_q:net", folder / "a", folder / "a") == 3
        assert out_features("model_q:net", folder / "b", folder / "b") == 5


def test_a_src_that_is_a_package_is_one(folder: Path) -> None:
    write(folder, src__model_r=FACTORY.format("width = 3", ""))
    (folder / "src" / "__init__.py").touch()
    assert out_features("src.model_r:net", folder / "specs", folder) == 3
    message = str(failure("model_r:net", folder, rootdir=folder))
    assert message.startswith(f"no module named 'model_r' in {folder} or the Python environment")


def test_a_file_and_a_module_of_rootdir_may_have_one_name(folder: Path) -> None:
    write(folder, model_z=FACTORY.format("width = 3", ""), specs__model_z=FACTORY.format("width = 5", ""))
    for _ in range(2):
        assert out_features("model_z.py:net", folder / "specs", folder) == 5
        assert out_features("model_z:net", folder / "specs", folder) == 3


def test_relative_imports_within_a_package(folder: Path) -> None:
    code = FACTORY.format("from .sizes import width\nfrom ..top import bias", "")
    write(folder, pkg_p__sub__model=code, pkg_p__sub__sizes="width = 4", pkg_p__top="bias = 1")
    (folder / "pkg_p" / "__init__.py").touch()
    (folder / "pkg_p" / "sub" / "__init__.py").touch()
    network = build_network("model.py:net", {}, folder / "pkg_p" / "sub")
    assert network.out_features == 4
    assert "pkg_p.sub.model" in sys.modules


def test_packages_of_one_name_in_two_folders(folder: Path) -> None:
    code = FACTORY.format("from .sizes import width", "")
    for name, width in (("a", 3), ("b", 5)):
        write(folder / name, pkg_q__model=code, pkg_q__sizes=f"width = {width}")
        (folder / name / "pkg_q" / "__init__.py").touch()
    for _ in range(2):
        assert out_features("pkg_q/model.py:net", folder / "a") == 3
        assert out_features("pkg_q/model.py:net", folder / "b") == 5


@pytest.mark.parametrize("name", ["torch", "code", "sys", "my-net", "a.b"])
def test_a_file_named_like_something_else(name: str, folder: Path) -> None:
    (folder / f"{name}.py").write_text(FACTORY.format("width = 2", ""))
    before = sys.modules.get(name)
    assert out_features(f"{name}.py:net", folder) == 2
    assert sys.modules.get(name) is before


def test_modules_imported_otherwise_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, a__model_m=FACTORY.format("width = 3", ""), b__model_m=FACTORY.format("width = 5", ""))
    monkeypatch.syspath_prepend(str(folder / "a"))
    import model_m  # type: ignore[import-not-found]

    assert out_features("model_m.py:net", folder / "b") == 5
    assert out_features("model_m.py:net", folder / "a") == 3
    assert sys.modules["model_m"] is model_m
    monkeypatch.undo()


def test_a_failed_import_can_be_repeated_and_leaves_nothing(folder: Path) -> None:
    write(folder, model_r="import helper_r\nraise ValueError('first')\n", helper_r="x = 1")
    assert str(failure("model_r.py:net", folder)) == "importing model_r.py raised ValueError: first"
    assert not [name for name in sys.modules if re.search("model_r$|helper_r$", name)]
    write(folder, model_r=FACTORY.format("from helper_r import x as width # longer than before", ""))
    assert out_features("model_r.py:net", folder) == 1


@pytest.mark.parametrize("target", ["broken_a.py:Net", "broken_a:Net"])
@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("import torch\n\nimport no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'", 3),
        ("x = 1\ny = z\n", "NameError: name 'z' is not defined", 2),
        ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax", 2),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
        ("raise ValueError\n", "ValueError", 1),
    ],
)
def test_an_import_that_fails_names_the_users_line(
    text: str, message: str, line: int, target: str, folder: Path
) -> None:
    write(folder, broken_a=text)
    error = failure(target, folder, rootdir=folder)
    assert str(error) == f"importing {target.partition(':')[0]} raised {message}"
    assert error.where == f"broken_a.py:{line}"
    assert "broken_a" not in sys.modules


def test_a_keyboard_interrupt_is_not_swallowed(folder: Path) -> None:
    write(folder, interrupted="raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        build_network("interrupted.py:Net", {}, folder)
    assert "interrupted" not in sys.modules


class Unloaded(types.ModuleType):
    """What many packages put into `sys.modules` in the place of something that may not be installed."""

    def __getattr__(self, name: str) -> Any:
        raise ImportError(f"no backend: asked for {name}")


class Anything:
    """No module, and without a dict of its own."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


LAZY_NEIGHBOURS = """
import importlib.util, sys
from torch import nn

def lazily(name):
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)

lazily("never_wanted_w")
"""


@pytest.mark.parametrize("neighbour", [Unloaded("backend_w"), Anything()], ids=["unloaded", "anything"])
@pytest.mark.parametrize("when", ["before", "with it"])
def test_modules_of_others_are_not_asked_for_attributes(
    neighbour: Any, when: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "backend_w", neighbour)
    code = "import sys\nsys.modules['late_w'] = sys.modules['backend_w']\n" if when == "with it" else ""
    write(folder, model_w=code + FACTORY.format("width = 3", ""))
    try:
        assert out_features("model_w.py:net", folder) == 3
    finally:
        sys.modules.pop("late_w", None)


def test_a_module_that_is_loaded_lazily_stays_unloaded(folder: Path) -> None:
    """It raises when it's loaded."""
    write(
        folder, never_wanted_w="raise ImportError('no GPU')", model_v=LAZY_NEIGHBOURS + FACTORY.format("width = 3", "")
    )
    assert out_features("model_v.py:net", folder) == 3
    assert "never_wanted_w" in sys.modules
    assert file_of(sys.modules["never_wanted_w"]) == str(folder / "never_wanted_w.py")
