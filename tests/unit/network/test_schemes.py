"""Targets with a scheme: models by name, and what installed packages offer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archcheck.errors import BuildError, UsageError
from archcheck.network.build import build_network, resolve_target
from archcheck.network.schemes import list_targets
from archcheck.spec.target import parse_target
from tests.unit.network.user_files import failure, write

# ---------------------------------------------------------------------------------------------- by name


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


@pytest.mark.parametrize("scheme", ["torchvision", "timm"])
def test_a_model_that_does_not_exist(scheme: str) -> None:
    pytest.importorskip(scheme)
    assert str(failure(f"{scheme}:resnet_18", Path())) == f"{scheme} has no model 'resnet_18': did you mean 'resnet18'?"


@pytest.mark.parametrize("target", ["timm:resnet18", "transformers:bert.json", "diffusers:unet.json"])
def test_a_library_that_is_not_installed(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = target.partition(":")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without(library), *sys.meta_path])
    assert str(failure(target, Path())) == f"{library} is not installed; pip install {library}"


class _Without:
    """An importer that says of one package that it isn't there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


# ---------------------------------------------------------------------------------------------- installed packages

ACME = """\
import archcheck
from torch import nn

def resolve(rest, base_dir):
    if rest == "number":
        return 3
    if rest == "gone":
        raise archcheck.BuildError("acme has no network 'gone'")
    if rest == "fails":
        raise LookupError("no such network")
    text = (base_dir / rest).read_text() if rest.endswith(".cfg") else rest
    def net(width: int = 2) -> nn.Module:
        return nn.Linear(width, len(text))
    return net

resolve.names = lambda: ["wide", "deep"]
"""


@pytest.fixture
def acme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install two packages: `acme_zoo` with a scheme that works, and `broken` with some that don't."""
    write(folder, acme_zoo=ACME, broken="number = 3\nraise ImportError('no such kernel')\n", numerals="number = 3\n")
    install(folder, "a_broken", "broken = broken:resolve\nabsent = acme_zoo:gone\nnumber = numerals:number\n")
    install(folder, "acme_zoo", "acme = acme_zoo:resolve\ntimm = broken:resolve\ntransformers = broken:resolve\n")
    install(folder, "worse", "this is no entry point\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(folder: Path, name: str, points: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[archcheck.targets]\n{points}")


@pytest.mark.parametrize(("rest", "width"), [("wide", 4), ("a/b:c d", 7), ("net.cfg", 5)])
def test_a_scheme_of_an_installed_package(rest: str, width: int, acme: Path) -> None:
    (acme / "net.cfg").write_text("12345")
    network = build_network(f"acme:{rest}", {"width": 3}, acme)
    assert list(network.state_dict()["weight"].shape) == [width, 3]


def test_the_arguments_of_an_installed_scheme_are_checked(acme: Path) -> None:
    error = failure("acme:wide", acme, {"widht": 3})
    assert str(error) == "acme:wide accepts no argument 'widht': did you mean 'width'? (it accepts width)"


def test_a_package_does_not_take_the_place_of_archchecks_own(acme: Path) -> None:
    assert build_network("torchvision:squeezenet1_1", {"num_classes": 7}, acme).num_classes == 7
    assert str(failure("timm:resnet_18", acme)) == "timm has no model 'resnet_18': did you mean 'resnet18'?"
    assert parse_target("transformers:BertModel").kind == "module"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("acme:number", "acme:number: the scheme 'acme' returned an int, expected a callable that returns a "
         "torch.nn.Module"),
        ("acme:gone", "acme has no network 'gone'"),
        ("acme:fails", "resolving acme:fails raised LookupError: no such network"),
        ("broken:x", "loading the scheme 'broken' (broken:resolve) raised ImportError: no such kernel"),
        ("absent:x", "loading the scheme 'absent' (acme_zoo:gone) raised AttributeError: module 'acme_zoo' has no "
         "attribute 'gone'"),
        ("number:x", "the scheme 'number' (numerals:number) is an int, expected a callable of the text behind the "
         "colon and the spec's folder"),
        ("acmee:a/b", "'acmee:a/b': expected the name of a callable after the colon, found 'a/b'; there is no scheme "
         "'acmee': did you mean 'acme'? (there are absent, acme, broken, diffusers, number, timm, torchvision, "
         "transformers)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_installed_scheme(target: str, message: str, acme: Path) -> None:
    assert str(failure(target, acme, rootdir=acme)) == message


# ---------------------------------------------------------------------------------------------- lists


def test_the_names_of_a_scheme(acme: Path) -> None:
    torchvision = list_targets("torchvision")
    assert {"resnet18", "vit_b_16", "fcn_resnet50"} <= {*torchvision}
    assert torchvision == sorted(torchvision)
    assert list_targets("acme") == ["deep", "wide"]


def test_the_names_of_timm() -> None:
    pytest.importorskip("timm")
    assert {"resnet18", "vit_tiny_patch16_224"} <= {*list_targets("timm")}


@pytest.mark.parametrize(
    ("scheme", "error", "message"),
    [
        ("transformers", UsageError, "transformers: its targets are configuration files: name them one by one"),
        ("tmm", BuildError, "there is no scheme 'tmm': did you mean 'timm'? (there are diffusers, timm, torchvision, "
         "transformers)"),
    ],
)  # fmt: skip
def test_a_scheme_without_names(scheme: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        list_targets(scheme)
    assert str(caught.value) == message


def test_an_installed_scheme_that_lists_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, quiet_zoo="def resolve(rest, base_dir): ...\n")
    install(folder, "quiet", "quiet = quiet_zoo:resolve\n")
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(UsageError, match=r"^quiet: this scheme lists no names: name its targets one by one$"):
        list_targets("quiet")
