"""Which targets a pattern names."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.errors import BuildError
from archcheck.network.target_patterns import expand_target, is_pattern


def test_a_pattern_has_wildcards_behind_the_colon() -> None:
    assert is_pattern("timm:resnet*")
    assert is_pattern("nets.py:Net?")
    assert not is_pattern("folder[1]/nets.py:Net")


def test_registries_are_matched_by_name() -> None:
    pytest.importorskip("torchvision")
    assert expand_target("torchvision:vgg1?", Path(), None) == [
        "torchvision:vgg11", "torchvision:vgg13", "torchvision:vgg16", "torchvision:vgg19",
    ]  # fmt: skip
    with pytest.raises(BuildError, match=r"torchvision:resnt\*: no network of that name; did you mean resnet\*\?"):
        expand_target("torchvision:resnt*", Path(), None)


def test_factories_are_known_by_what_they_call_and_return(tmp_path: Path) -> None:
    (tmp_path / "pattern_nets.py").write_text(
        """
import torch
from torch import nn
import torch.nn as layers
from collections import OrderedDict

class Net(nn.Module):
    def __init__(self, width=1): super().__init__()
    def forward(self, x): return x
class Needs(Net):
    def __init__(self, width): super().__init__()
class _Private(Net): pass
class NoForward(nn.Module): pass

def annotated() -> nn.Module: ...
def as_text() -> "Net": ...
def by_class(): return Net(2)
def by_module(): return layers.Linear(2, 2)
def by_helper(): return by_class()
def number(): return 3
def other() -> int: return Net
def train(): Net()
def main(steps=1):
    for _ in range(steps): Net()
"""
    )
    found = expand_target("pattern_nets.py:*", tmp_path, None)
    names = [target.partition(":")[2] for target in found]
    assert names == ["Net", "annotated", "as_text", "by_class", "by_module", "by_helper"]


def test_a_module_without_networks_says_so(tmp_path: Path) -> None:
    (tmp_path / "pattern_empty.py").write_text("x = 1\n")
    with pytest.raises(BuildError, match="no network there that can be built without arguments"):
        expand_target("pattern_empty.py:*", tmp_path, None)
