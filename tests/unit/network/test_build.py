"""Build targets to networks."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.errors import BuildError
from archcheck.network.build import build_network, prepare_network, resolve_target

NET = """\
from torch import nn

class Net(nn.Linear):
    def __init__(self, width: int = 4, *, bias: bool = True) -> None:
        super().__init__(width, width, bias)

    @classmethod
    def small(cls) -> "Net":
        return cls(width=2)

def dictionary():
    return {}

def nothing():
    return None

def fails(width=1):
    def inner():
        raise KeyError("x")
    return inner()

def deep():
    return nn.Linear("a", 2)

def leaves():
    raise SystemExit(3)

def long_story():
    raise RuntimeError("first\\nsecond " + "x" * 1000)

def only(width, /):
    return nn.Linear(width, 1)

def passes(**kwargs):
    return Net(**kwargs)

built = Net(3)
number = 3
"""

FACTORY = "from torch import nn\n{}\ndef net():\n    {}\n    return nn.Linear(1, width)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; `sys.path` is as before afterwards, and whatever was imported from there is forgotten."""
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    assert sys.path == path
    for name in sys.modules.keys() - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def failure(target: str, folder: Path, args: dict[str, Any] | None = None, rootdir: Path | None = None) -> BuildError:
    with pytest.raises(BuildError, match=r"^[^\n]+$") as caught:
        build_network(target, args or {}, folder, rootdir)
    return caught.value


# ---------------------------------------------------------------------------------------------- where targets are


def test_a_file_beside_the_spec(folder: Path) -> None:
    write(folder, nets__model=NET)
    network = build_network("nets/model.py:Net", {"width": 5}, folder)
    assert [*network.state_dict()["weight"].shape] == [5, 5]


def test_a_module_in_rootdir(folder: Path) -> None:
    write(folder, my_nets_a=NET)
    network = build_network("my_nets_a:Net", {"width": 5}, folder / "specs", folder)
    assert type(network).__module__ == "my_nets_a"


def test_a_module_of_the_environment() -> None:
    network = build_network("torch.nn:Linear", {"in_features": 2, "out_features": 3}, Path())
    assert isinstance(network, nn.Linear)


def test_a_nested_attribute(folder: Path) -> None:
    write(folder, model_b=NET)
    assert build_network("model_b.py:Net.small", {}, folder).in_features == 2


def test_a_network_that_is_built_already(folder: Path) -> None:
    write(folder, model_c=NET)
    network = build_network("model_c.py:built", {}, folder)
    assert network is build_network("model_c.py:built", {}, folder)
    error = failure("model_c.py:built", folder, {"width": 3})
    assert (str(error), error.arg) == ("model_c.py:built is a Net built already: expected no args", "width")


def test_a_torchvision_model() -> None:
    network = build_network("torchvision:squeezenet1_1", {"num_classes": 7}, Path())
    assert network.num_classes == 7


def test_torchvision_backbones_are_not_downloaded() -> None:
    function = resolve_target("torchvision:fcn_resnet50", Path())
    assert getattr(function, "keywords", None) == {"weights": None, "weights_backbone": None}


def test_a_timm_model() -> None:
    pytest.importorskip("timm")
    network = build_network("timm:resnet10t", {"num_classes": 7}, Path())
    assert network.num_classes == 7


def test_torchvision_is_only_imported_where_it_is_needed(folder: Path) -> None:
    write(folder, model=NET)
    program = (
        "import sys; from pathlib import Path; from archcheck.network.build import build_network\n"
        f"build_network('model.py:Net', {{}}, Path({str(folder)!r}))\n"
        "print([name for name in ('torchvision', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_torchvision_keeps_its_warnings_to_itself() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with torch.device("meta"):
            build_network("torchvision:googlenet", {}, Path())


def test_warnings_of_the_users_own_code_come_through(folder: Path) -> None:
    write(folder, model_warns=FACTORY.format("import warnings\nwidth = 1", "warnings.warn('old')"))
    with pytest.warns(UserWarning, match="^old$"):
        build_network("model_warns.py:net", {}, folder)


# ---------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("attribute", "args", "message", "arg"),
    [
        ("Net", {"widht": 3}, "accepts no argument 'widht': did you mean 'width'? (it accepts width, bias)", "widht"),
        ("Net", {"q": 3}, "accepts no argument 'q' (it accepts width, bias)", "q"),
        ("dictionary", {"q": 3}, "accepts no argument 'q' (it accepts none)", "q"),
        ("passes", {"q": 3}, "accepts no argument 'q' (it accepts width, bias)", "q"),
        ("only", {}, "takes 'width' by position only, and args are passed by name", "width"),
        ("nn.Linear", {"bias": True}, "is missing its argument 'in_features' (it accepts in_features, out_features,"
         " bias, device, dtype)", "in_features"),
    ],
)  # fmt: skip
def test_arguments_are_checked_by_name(
    attribute: str, args: dict[str, Any], message: str, arg: str, folder: Path
) -> None:
    write(folder, model_args=NET)
    error = failure(f"model_args.py:{attribute}", folder, args)
    assert str(error) == f"model_args.py:{attribute} {message}"
    assert error.arg == arg


def test_an_argument_that_torchvision_passes_on_is_checked() -> None:
    error = failure("torchvision:resnet18", Path(), {"num_clases": 3})
    assert str(error).startswith("torchvision:resnet18 accepts no argument 'num_clases': did you mean 'num_classes'?")
    assert error.arg == "num_clases"


@pytest.mark.parametrize(("target", "arg"), [("torchvision:resnet18", "weights"), ("timm:resnet18", "pretrained")])
def test_pretrained_weights_are_refused(target: str, arg: str) -> None:
    error = failure(target, Path(), {arg: "DEFAULT"})
    assert str(error) == f"{target} is built without pretrained weights: `{arg}` can't be set"
    assert error.arg == arg


def test_prepare_checks_before_anything_is_built(folder: Path) -> None:
    write(folder, model_prepare=NET)
    with pytest.raises(BuildError, match=r"^model_prepare\.py:Net accepts no argument 'q'"):
        prepare_network("model_prepare.py:Net", {"q": 1}, folder)
    build = prepare_network("model_prepare.py:Net", {"width": 3}, folder)
    with torch.device("meta"):
        network = build()
    assert network.state_dict()["weight"].is_meta


# ---------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("attribute", "message", "where"),
    [
        ("dictionary", "model_bad.py:dictionary returned a dict, expected torch.nn.Module", None),
        ("nothing", "model_bad.py:nothing returned None, expected torch.nn.Module", None),
        ("number", "model_bad.py:number is an int, expected a callable that returns a torch.nn.Module", None),
        ("fails", "building model_bad.py:fails raised KeyError: 'x'", "model_bad.py:19"),
        ("leaves", "building model_bad.py:leaves raised SystemExit: 3", "model_bad.py:26"),
        ("net", "model_bad.py has no 'net': did you mean 'Net'?", None),
        ("Net.smal", "model_bad.py:Net has no 'smal': did you mean 'small'?", None),
        ("qqqq", "model_bad.py has no 'qqqq'", None),
    ],
)
def test_a_target_that_builds_no_network(attribute: str, message: str, where: str | None, folder: Path) -> None:
    write(folder, model_bad=NET)
    error = failure(f"model_bad.py:{attribute}", folder, rootdir=folder)
    assert (str(error), error.where) == (message, where)


def test_an_error_inside_torch_is_placed_at_the_users_line(folder: Path) -> None:
    write(folder, model_deep=NET)
    error = failure("model_deep.py:deep", folder, rootdir=folder)
    assert str(error).startswith("building model_deep.py:deep raised TypeError: empty()")
    assert error.where == "model_deep.py:23"
    assert isinstance(error.__cause__, TypeError)


def test_a_long_message_is_one_line_and_shortened(folder: Path) -> None:
    write(folder, model_long=NET)
    message = str(failure("model_long.py:long_story", folder))
    assert message.startswith("building model_long.py:long_story raised RuntimeError: first second xxx")
    assert message.endswith("x…")
    assert len(message) < 400


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_package.nets:Net", "no module named 'no_such_package' in ROOT or the Python environment"),
        ("json.decodr:Net", "no module named 'json.decodr': did you mean 'json.decoder'?"),
        ("math.nets:Net", "no module named 'math.nets' in ROOT or the Python environment"),
        ("no/such.py:Net", "no file no/such.py in ROOT"),
        (f"{'x' * 300}.py:Net", f"no file {'x' * 300}.py in ROOT"),
        (f"{'x' * 300}:Net", f"no module named '{'x' * 300}' in ROOT or the Python environment"),
        ("torchvision:resnet_18", "torchvision has no model 'resnet_18': did you mean 'resnet18'?"),
        ("timm:resnet_18", "timm has no model 'resnet_18': did you mean 'resnet18'?"),
        ("torch.nn:Linar", "torch.nn has no 'Linar': did you mean 'Linear'?"),
    ],
)
def test_a_target_that_does_not_exist(target: str, message: str, folder: Path) -> None:
    error = failure(target, folder, rootdir=folder)
    assert str(error) == message.replace("ROOT", str(folder))
    assert error.where is None


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


def test_timm_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without("timm"), *sys.meta_path])
    assert str(failure("timm:resnet18", Path())) == "timm is not installed; pip install timm"


class _Without:
    """An importer that says of one package that it isn't there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_an_exception_that_can_not_be_printed(folder: Path) -> None:
    write(folder, model_u="class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd\n")
    assert str(failure("model_u.py:Net", folder)) == "importing model_u.py raised Odd"


def test_args_are_not_changed_by_the_users_code(folder: Path) -> None:
    write(folder, model_v="from torch import nn\ndef net(widths):\n    return nn.Linear(widths.pop(), 1)\n")
    build = prepare_network("model_v.py:net", {"widths": [3]}, folder)
    assert build().in_features == build().in_features == 3


# ---------------------------------------------------------------------------------------------- imports of files


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
    assert sys.modules["sizes_x"].width == 3


def test_files_may_import_from_rootdir(folder: Path) -> None:
    write(folder, widths_y="width = 6", specs__model_y=FACTORY.format("from widths_y import width", ""))
    assert out_features("model_y.py:net", folder / "specs", folder) == 6


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


def test_error_raised_within_archcheck_is_at_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(
        "from archcheck.spec.target import parse_target\n\ndef net():\n    parse_target('')\n"
    )

    with pytest.raises(BuildError, match=r"building asks\.py:net raised") as caught:
        build_network("asks.py:net", {}, tmp_path, tmp_path)

    assert caught.value.where == "asks.py:4"


def test_networks_that_come_with_archcheck_are_user_code() -> None:
    import archcheck.network.build
    import archcheck.structure.meta.forward_modes
    import archcheck.zoo

    assert not archcheck.network.exceptions._is_ours(archcheck.zoo.__file__)
    assert archcheck.network.exceptions._is_ours(archcheck.structure.meta.forward_modes.__file__)
