"""Functions whose annotations name what is there for type checkers only, or what isn't there at all.

Before Python 3.14 such annotations are texts, by a future import; since then they need none.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from archcheck.network.annotations import annotations_of
from archcheck.network.build import resolve_target
from archcheck.network.call_arguments import check_arguments
from archcheck.network.signatures import signature_of, written_annotations
from archcheck.network.target_patterns import expand_target
from archcheck.training.component_kinds import tensor_arguments

FUTURE = "" if sys.version_info >= (3, 14) else "from __future__ import annotations\n"
NETS = (
    FUTURE
    + """
from typing import TYPE_CHECKING
import torch
if TYPE_CHECKING:
    from torch.nn import Module
    from elsewhere import Config
from torch import nn

class Net(nn.Module):
    width: Size = 4
    def __init__(self, width: int = 4, config: Config | None = None) -> None:
        super().__init__()
    def forward(self, x: torch.Tensor, batch: Batch = None) -> Missing:
        return x

class Weighted(nn.Module):
    def __init__(self, weight: torch.Tensor, config: Config | None = None) -> None:
        super().__init__()

def small(config: Config | None = None) -> Module:
    return Net()

def other(config: Config | None = None) -> Config:
    return Net()
"""
)


@pytest.fixture
def nets(tmp_path: Path) -> ModuleType:
    (tmp_path / "names_for_checkers.py").write_text(NETS)
    return sys.modules[resolve_target("names_for_checkers.py:Net", tmp_path).__module__]


def test_parameters_are_told(nets: ModuleType) -> None:
    assert list(signature_of(nets.Net).parameters) == ["width", "config"]
    assert list(signature_of(nets.Net.forward).parameters) == ["self", "x", "batch"]
    check_arguments(nets.Net, {"width": 2}, "Net")


def test_annotations_are_told_but_for_what_they_do_not_find(nets: ModuleType) -> None:
    assert set(written_annotations(nets.Net.forward)) == {"x", "batch", "return"}
    assert annotations_of(nets.Net.forward) == {"x": torch.Tensor}
    assert annotations_of(nets.Net)["width"] is int


def test_a_pattern_finds_networks(nets: ModuleType) -> None:
    folder = Path(str(nets.__file__)).parent
    assert expand_target("names_for_checkers.py:*", folder, folder) == [
        "names_for_checkers.py:Net",
        "names_for_checkers.py:small",
    ]


def test_a_loss_tells_which_arguments_are_tensors(nets: ModuleType) -> None:
    assert tensor_arguments(nets.Weighted, {"weight": [1, 2], "config": 3}) == ["weight"]
