"""Mistakes planted in a network or its data miss a minimum that the sound network reaches."""

from __future__ import annotations

import pytest

from tests.integration.project import Project
from tests.integration.training.toys import accuracy

CONVNET = """
import torch
from torch import nn

def small(stem_frozen=False, detached=False):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 49, 10))
    if stem_frozen:
        for module in net[:6]:
            module.requires_grad_(False)
        nn.init.normal_(net[0].weight, std=1e-3)
        nn.init.constant_(net[3].weight, 0.01)
    if detached:
        net.insert(6, Detach())
    return net

class Detach(nn.Module):
    def forward(self, x): return x.detach().mean((2, 3), keepdim=True).expand_as(x)
"""


MINI = """\
build: nets:small
args: {}
input: [B, 1, 28, 28]
training:
  dataset: fashion-mnist-mini
  optimizer: {name: Adam, lr: 0.005}
  batch_size: 100
  epochs: 2
  accuracy: 0.78
"""


SHUFFLED = """
import torch
from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.spec.models import Named
from pathlib import Path
def data():
    pair = load_dataset(Named(name="fashion-mnist-mini"), DataContext(Path("."), None, None, False, None, None))
    order = torch.randperm(len(pair.train), generator=torch.Generator().manual_seed(0))
    return LoadedDataset("shuffled", ArraySplit(pair.train.inputs, pair.train.targets[order]), pair.test, 10)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("args: {}", "args: {detached: true}"),
        ("args: {}", "args: {stem_frozen: true}"),
        ("dataset: fashion-mnist-mini", "dataset: shuffled:data"),
    ],
    ids=["no gradient to a layer", "frozen stem", "labels shuffled"],
)
def test_a_planted_mistake_misses_the_minimum_that_sound_runs_reach(project: Project, old: str, new: str) -> None:
    project.write("nets.py", CONVNET)
    project.write("shuffled.py", SHUFFLED)
    result = accuracy(project, MINI.replace(old, new))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml:9: accuracy: 0.* after 2 epochs, * below the minimum"])


def test_the_sound_one_reaches_it(project: Project) -> None:
    project.write("nets.py", CONVNET)
    accuracy(project, MINI).assert_outcomes(passed=1)
