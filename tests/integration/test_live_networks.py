"""Live networks in `archcheck.verify` that were used, converted or never given values: a verdict or a reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archcheck
from archcheck.cli.command_line import main
from tests.integration.project import Project, lock_of

NETS = """
from torch import nn

def plain():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))

class Unreached(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.unused = nn.LazyConv2d(4, 3), nn.LazyLinear(3)

    def forward(self, x):
        return self.net(x)

def attention():
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
"""


def recorded(project: Project, name: str, shape: str = "B,1,8,8") -> tuple[Path, Any]:
    """Write the spec of a network, function and all; return it with another instance of the network."""
    project.write("live_nets.py", NETS)
    path = Path(f"specs/{name}.arch.yaml")
    assert main(["new", f"live_nets:{name}", "--input", shape, "--output", str(path)]) == 0
    assert lock_of(path).exists()
    return path, getattr(sys.modules["live_nets"], name)()


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "live_nets", raising=False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("name", "shape"), [("plain", "B,1,8,8"), ("attention", "B,5,8")])
def test_a_network_in_another_precision_is_the_same(
    project: Project, name: str, shape: str, dtype: torch.dtype
) -> None:
    path, net = recorded(project, name, shape)
    result = archcheck.verify(path, net.to(dtype))
    assert result.ok, result
    assert next(net.parameters()).dtype is dtype


def test_a_network_of_two_precisions_is_told(project: Project) -> None:
    path, net = recorded(project, "plain")
    net[4].half()
    result = archcheck.verify(path, net)
    assert [(one.subject, one.problem) for one in result.outcomes["shapes"]] == [("4", "forward stopped here")]
    assert "same dtype" in str(result)


def test_a_lazy_network_holds_before_and_after_its_first_forward(project: Project) -> None:
    path, net = recorded(project, "lazy")
    before = archcheck.verify(path, net)
    assert before.ok, before
    assert isinstance(net[0], nn.LazyConv2d)
    for _ in range(3):
        net.train()(torch.randn(5, 1, 8, 8))  # batch norm's statistics are no longer those of an untrained network
    after = archcheck.verify(path, net)
    assert after.ok, after


def test_a_lazy_layer_that_the_forward_never_reaches_is_named(project: Project) -> None:
    project.write("live_nets.py", NETS)
    path = project.spec(text="build: live_nets:Unreached\ninput: [B, 1, 8, 8]\nlayers:\n  net: [B, 4, 6, 6]\n")
    from_file = archcheck.verify(path)
    result = archcheck.verify(path, sys.modules["live_nets"].Unreached())
    assert result.outcomes["shapes"] == []
    assert "unused.weight, unused.bias" in result.unmeasured["health"]
    assert result.unmeasured == from_file.unmeasured


@pytest.mark.parametrize("part", ["all", "one layer"])
def test_a_network_on_meta_has_a_structure_and_no_function(project: Project, part: str) -> None:
    path, net = recorded(project, "plain")
    (net if part == "all" else net[4]).to("meta")
    result = archcheck.verify(path, net)
    assert {name for name, found in result.outcomes.items() if not found} == {"spec", "shapes", "parameters", "compute"}
    reason = "Sequential is on meta, where tensors have no values; give one that has them"
    assert result.unmeasured == {"health": reason, "function": reason}


def test_a_network_on_meta_may_still_have_another_structure(project: Project) -> None:
    path, net = recorded(project, "plain")
    net[4] = nn.Linear(144, 4)
    result = archcheck.verify(path, net.to("meta"))
    assert "4: output shape differs" in str(result)


FILTERS = """
import torch
from torch import nn
from torch.nn import functional as F

class Edges(nn.Module):
    def __init__(self, sign=1.0):
        super().__init__()
        sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) * sign
        self.sobel = nn.Parameter(sobel[None, None], requires_grad=False)
        self.blur = nn.Parameter(torch.full((1, 1, 3, 3), 1 / 9), requires_grad=False)
        self.project = nn.Parameter(torch.randn(6, 6), requires_grad=False)
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        x = F.conv2d(F.conv2d(x, self.sobel, padding=1), self.blur, padding=1)
        return self.conv(x) @ self.project
"""


@pytest.mark.parametrize("form", ["fresh", "trained", "half"])
def test_fixed_filters_keep_their_values_and_frozen_draws_do_not(project: Project, form: str) -> None:
    project.write("live_nets.py", FILTERS)
    path = Path("specs/edges.arch.yaml")
    assert main(["new", "live_nets:Edges", "--input", "B,1,8,8", "--output", str(path)]) == 0
    net = sys.modules["live_nets"].Edges()
    if form == "trained":
        net.conv.weight.data.mul_(3)
    result = archcheck.verify(path, net.half() if form == "half" else net)
    assert result.ok, result


def test_another_fixed_filter_is_another_function(project: Project) -> None:
    project.write("live_nets.py", FILTERS)
    path = Path("specs/edges.arch.yaml")
    assert main(["new", "live_nets:Edges", "--input", "B,1,8,8", "--output", str(path)]) == 0
    result = archcheck.verify(path, sys.modules["live_nets"].Edges(sign=-1.0))
    assert [one.subject for one in result.outcomes["function"]] == ["conv"]
