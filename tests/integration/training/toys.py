"""Networks and data sets whose training comes to what is known by hand, and specs of them."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import Project

# `Scripted` is right about the first share of the examples, another one in each epoch: what a run comes to is known by
# hand. Its inputs are the examples' positions, from 0 up to 1.
TOYS = """
import os, random, time
import torch
from torch import nn

class Scripted(nn.Module):
    def __init__(self, curve=(0.5,), scale=1.0, name="", sleep=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.curve, self.scale, self.epoch, self.sleep = list(curve), scale, 0, sleep
    def train(self, mode=True):
        self.epoch += mode
        return super().train(mode)
    def forward(self, x):
        time.sleep(self.sleep)
        right = x < self.curve[min(self.epoch, len(self.curve)) - 1] - 1e-6  # (B, 1)
        yes = torch.where(right, 1.0, -1.0)
        return torch.cat([-yes, yes], 1) * self.scale + self.weight * 0

def linear(features=2, classes=2):
    return nn.Linear(features, classes)

class Calls(nn.Module):
    '''A linear network whose forward calls something first, once it is on real data.'''
    def __init__(self, what="", features=1, classes=2, at_build=False):
        super().__init__()
        self.what, self.fc = what, nn.Linear(features, classes)
        if at_build:
            globals()[what](self)
    def forward(self, x):
        if self.what and x.device.type != "meta" and self.training:
            x = globals()[self.what](self, x)
        return self.fc(x)

def raises(net, x):
    raise KeyError("no such head")
def leaves(net, x):
    raise SystemExit(3)
def interrupted(net, x):
    raise KeyboardInterrupt
def no_memory(net, x):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
def too_large(net, x):
    return x + torch.empty(1 << 46).sum()
def meddles(net, x):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(1); random.seed(1)
    return x
def meddles_and_raises(net, x):
    meddles(net, x)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    raise ValueError("enough")
"""

SETS = """
import torch
from torch.utils.data import Dataset, TensorDataset

def positions(train=100, test=100):
    '''Inputs (n, 1) from 0 up to 1, all of class 1.'''
    return [TensorDataset(torch.arange(n).reshape(n, 1) / n, torch.ones(n, dtype=torch.int64)) for n in (train, test)]

def clouds(train=256, test=100, labels=0):
    '''Two clouds of points (n, 2), far apart.'''
    draw = torch.Generator().manual_seed(0)
    def part(n):
        classes = torch.arange(n) % 2
        return TensorDataset(torch.randn(n, 2, generator=draw) + 8.0 * classes[:, None] - 4, classes + labels)
    return part(train), part(test)

def clouds_twice():
    return clouds()[0], clouds()[0]

def streamed_twice():
    return Streamed(clouds()[0]), Streamed(clouds()[0])

class Streamed(Dataset):
    def __init__(self, data): self.data = data
    def __len__(self): return len(self.data)
    def __getitem__(self, index):
        x, y = self.data[index]
        return x, int(y)

def streamed(labels=0):
    train, test = clouds(labels=labels)
    return Streamed(train), Streamed(test)

def line(slope=3.0):
    '''y = slope x + 1, exactly.'''
    def part(n):
        x = torch.linspace(-1, 1, n).reshape(n, 1)
        return TensorDataset(x, slope * x + 1)
    return part(200), part(50)

def empty():
    return TensorDataset(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)), clouds()[1]
"""

SCRIPTED = """\
build: toys:Scripted
args: {curve: CURVE}
input: [B, 1]
training:
  dataset: sets:positions
  optimizer: {name: SGD, lr: 0.1}
  batch_size: 50
  epochs: EPOCHS
  accuracy: LEAST
"""

CLOUDS = """\
build: toys:linear
input: [B, 2]
training:
  dataset: sets:clouds
  optimizer: {name: SGD, lr: 0.1}
  batch_size: 64
  epochs: 2
  accuracy: 0.97
"""
CALLS = CLOUDS.replace("toys:linear\n", "toys:Calls\nargs: {what: WHAT, features: 2}\n")

CURVE = re.compile(r"^ +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +", re.MULTILINE)


def scripted(curve: list[float], least: float, epochs: int | None = None, more: str = "") -> str:
    """Return a spec whose network has these accuracies, one in each epoch, and a minimum."""
    text = SCRIPTED.replace("CURVE", str(curve)).replace("EPOCHS", str(epochs or len(curve)))
    return text.replace("LEAST", str(least)) + more


def accuracy(project: Project, text: str, *args: str) -> pytest.RunResult:
    """Run the accuracy item of a spec."""
    project.spec("toy", text)
    return project.run("-m", "archcheck_accuracy", *args)


def curves(result: pytest.RunResult) -> list[tuple[str, ...]]:
    """Return epoch, loss and accuracy on both sets, as the run's output shows them."""
    return [match.groups() for match in CURVE.finditer(result.stdout.str())]


def failing_text(result: pytest.RunResult, check: str = "accuracy") -> str:
    """Return the first line that `toy`'s only item fails with. Check that notes follow it, and no traceback."""
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "Traceback" not in output
    assert "archcheck/pytest_plugin" not in output
    (text,) = re.findall(rf"^_+ toy: {check} _+\n((?:[^=\n].*\n)+)", output, re.MULTILINE)
    line, *notes = str(text).splitlines()
    assert all(note.startswith("  ") for note in notes)
    return line
