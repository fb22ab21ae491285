"""Build targets to networks."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.errors import BuildError
from archcheck.network.build import build_network, prepare_network, resolve_target
from tests.unit.network.user_files import FACTORY, NET, failure, write

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


def test_a_cached_factory_keeps_nothing_of_ours(folder: Path) -> None:
    write(folder, cached=f"import functools\n{NET}\nmake = functools.lru_cache(Net)\n")
    target, args = "cached.py:make", {"width": 5}
    assert build_network(target, args, folder) is not build_network(target, args, folder)
    assert resolve_target(target, folder).cache_info().currsize == 0  # type: ignore[attr-defined]


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


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_package.nets:Net", "no module named 'no_such_package' in ROOT or the Python environment"),
        ("json.decodr:Net", "no module named 'json.decodr': did you mean 'json.decoder'?"),
        ("math.nets:Net", "no module named 'math.nets' in ROOT or the Python environment"),
        ("no/such.py:Net", "no file no/such.py in ROOT"),
        (f"{'x' * 300}.py:Net", f"no file {'x' * 300}.py in ROOT"),
        (
            "nest:Net",
            "no module named 'nest' in ROOT or the Python environment; there is no scheme 'nest' (there are"
            " diffusers, timm, torchvision, transformers)",
        ),
        (
            "tmm:resnet18",
            "no module named 'tmm' in ROOT or the Python environment; there is no scheme 'tmm': did you"
            " mean 'timm'? (there are diffusers, timm, torchvision, transformers)",
        ),
        ("torch.nn:Linar", "torch.nn has no 'Linar': did you mean 'Linear'?"),
    ],
)
def test_a_target_that_does_not_exist(target: str, message: str, folder: Path) -> None:
    error = failure(target, folder, rootdir=folder)
    assert str(error) == message.replace("ROOT", str(folder))
    assert error.where is None


def test_args_are_not_changed_by_the_users_code(folder: Path) -> None:
    write(folder, model_v="from torch import nn\ndef net(widths):\n    return nn.Linear(widths.pop(), 1)\n")
    build = prepare_network("model_v.py:net", {"widths": [3]}, folder)
    assert build().in_features == build().in_features == 3


def test_a_map_that_is_used_as_an_object_is_told_with_what_to_write(folder: Path) -> None:
    code = (
        "from dataclasses import dataclass\nfrom torch import nn\n\n@dataclass\nclass Config:\n    width: int = 1\n\n"
        "class Net(nn.Linear):\n    def __init__(self, config):\n        super().__init__(config.width, 2)\n"
    )
    write(folder, untyped=code)
    error = failure("untyped.py:Net", folder, {"config": {"width": 4}}, folder)
    assert str(error).startswith("config is used as an object (width), and is a map: ")
    assert "name its class, {class:untyped.py:NAME: {...}}, or {class:types.SimpleNamespace: {...}}" in str(error)
    assert error.arg == "config"
    assert error.where == "untyped.py:10"
    for named in ("class:untyped.py:Config", "class:types.SimpleNamespace"):
        assert build_network("untyped.py:Net", {"config": {named: {"width": 4}}}, folder).in_features == 4
