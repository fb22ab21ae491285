"""What computes a layer's weight is no layer: specs promise the layer, and a lost one is seen all the same."""

from __future__ import annotations

import json
import sys

import pytest

from tests.integration.project import Project, messages

NETS = """
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T

class Net(nn.Module):
    def __init__(self, kind=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 4)
        if kind == "symmetric":
            register_parametrization(self.fc, "weight", Symmetric())
        elif kind is not None:
            for layer in (self.conv, self.fc):
                getattr(parametrizations, kind)(layer)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
"""
KINDS = ["weight_norm", "spectral_norm", "orthogonal", "symmetric"]
INPUT = ("--input", "B,3,8,8")


@pytest.fixture
def nets(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def archcheck(project: Project, *arguments: str) -> str:
    result = project.pytester.run(sys.executable, "-m", "archcheck.cli", *arguments)
    assert result.ret in (0, 1), result.stderr.str()
    return result.stdout.str()


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_spec_lists_layers_and_notices_that_a_parametrization_is_lost(kind: str, nets: Project) -> None:
    archcheck(nets, "new", "nets:Net", *INPUT, "--args", f'{{"kind": "{kind}"}}', "--output", "specs/net.arch.yaml")
    spec = nets.path / "specs" / "net.arch.yaml"
    rows = [line.split(":")[0].strip() for line in spec.read_text().splitlines() if line.startswith("  ")]
    assert rows == ["conv", "fc"]
    recorded = json.loads(spec.with_name("net.arch.lock").read_text())["function"]["layers"]
    assert list(recorded) == ["conv", "fc"]
    assert nets.run("specs").ret == 0
    spec.write_text(spec.read_text().replace(f"kind: {kind}", "kind: null"))
    result = nets.run("specs", "-k", "function")
    assert result.ret == 1
    assert messages(result, "specs/net.arch.yaml")[0][0].endswith(": the output differs")


def test_a_row_by_hand_is_verified(nets: Project) -> None:
    head = "build: nets:Net\nargs: {kind: KIND}\ninput: [B, 3, 8, 8]\nfunction: off\nlayers:\n"
    row = "  fc.parametrizations.weight.0: {type: Symmetric, output: [4, 4]}\n"
    nets.spec("kept", (head + row).replace("KIND", "symmetric"))
    assert nets.run("specs", "-k", "shapes").ret == 0
    nets.spec("lost", (head + row).replace("KIND", "null"))
    result = nets.run("specs", "-k", "shapes")
    assert messages(result, "specs/lost.arch.yaml")[0][0].endswith("fc.parametrizations.weight.0: no such module")


def test_show_and_diff_speak_of_layers(nets: Project) -> None:
    shown = archcheck(nets, "show", "nets:Net", *INPUT, "--args", '{"kind": "weight_norm"}')
    assert [line.split()[0] for line in shown.splitlines()[2:4]] == ["conv", "fc"]
    assert "_WeightNorm" not in shown
    for kind in ("weight_norm", "spectral_norm", "symmetric", "null"):
        head = "build: ../nets.py:Net\nargs: {kind: KIND}\ninput: [B, 3, 8, 8]\n"
        nets.spec(kind, head.replace("KIND", kind))
    told = archcheck(nets, "diff", "specs/weight_norm.arch.yaml", "specs/spectral_norm.arch.yaml")
    assert "parametrizations" not in told
    assert "first divergence: conv\n" in told
    told = archcheck(nets, "diff", "specs/symmetric.arch.yaml", "specs/null.arch.yaml")
    assert "first divergence: fc.parametrizations.weight" in told  # as nothing else of the structure tells
