"""A hundred networks, in three random orders in one process and each in a process of its own: the same records."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.preloaded import PreloadedPopen

NETS = """
import copy, functools
import torch
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

TEMPLATE = nn.Linear(6, 6)
SHARED = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())


class Held(nn.Module):
    def __init__(self, width, **held):
        super().__init__()
        self.fc = nn.Linear(6, width)
        for name, one in held.items():
            self.register_buffer(name, one) if type(one) is torch.Tensor else setattr(self, name, one)

    def forward(self, x):
        y = self.fc(x)
        for name in ("table", "filter", "noise"):
            y = y * getattr(self, name) if hasattr(self, name) else y
        return y


class Follows(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(6, width)
        self.b = copy.deepcopy(self.a).requires_grad_(False)

    def forward(self, x):
        if self.training:
            for a, b in zip(self.a.parameters(), self.b.parameters()):
                b.data = b.data * 0.9 + a.data * 0.1
        return self.a(x) + self.b(x)


def zeroed(width):
    layer = nn.Linear(6, width)
    layer.weight.data = torch.zeros(width, 6)
    return layer


def given(width):
    layer = nn.Linear(6, width)
    layer.weight.data = torch.tensor([[0.1 * i + j for j in range(6)] for i in range(width)])
    return layer


@functools.lru_cache
def cached(width):
    return nn.Sequential(nn.Linear(6, width), nn.Tanh())


MAKERS = [
    lambda w: nn.Linear(6, w),
    lambda w: nn.Sequential(nn.Linear(6, w), nn.BatchNorm1d(w), nn.ReLU()),
    lambda w: Held(w, table=torch.arange(float(w))),
    lambda w: Held(w, filter=nn.Parameter(torch.linspace(-1, 1, w), requires_grad=False)),
    lambda w: Held(w, noise=torch.randn(w)),
    lambda w: nn.Sequential(spectral_norm(nn.Linear(6, w)), weight_norm(nn.Linear(w, 4))),
    Follows,
    zeroed,
    given,
    lambda w: nn.Sequential(copy.deepcopy(TEMPLATE), nn.Linear(6, w)),
    cached,
    lambda w: nn.Sequential(SHARED, nn.Linear(6, w)),
]
NETWORKS = {f"{i} {w}": functools.partial(make, w) for i, make in enumerate(MAKERS) for w in range(3, 12)}
"""
RUN = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, ".")
import torch
torch.seed()  # what a module draws when it is imported differs from process to process
from hundred_nets import NETWORKS, SHARED, TEMPLATE
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.health_probe import make_health_probe
from archcheck.spec.inputs import make_forward_input, parse_input

inputs, one = (make_forward_input(parse_input([size, 6]), {"B": size}) for size in (4, 1))
found = {}
for name in sys.argv[1:]:
    record = fingerprint(NETWORKS[name], FingerprintConfig(inputs), make_health_probe(NETWORKS[name], one))
    found[name] = [[str(call.name), call.numbers] for call in record.calls] + [str(record.health)]
held = [*SHARED.parameters(), *TEMPLATE.parameters()]
assert all(str(one.dtype) == "torch.float32" and one.requires_grad for one in held)
print(json.dumps(found))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hundred_nets.py").write_text(NETS)
    (tmp_path / "run.py").write_text(RUN)
    return tmp_path


def records(folder: Path, names: list[str]) -> dict[str, object]:
    command = [sys.executable, "run.py", *names]
    with PreloadedPopen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate()
    assert process.returncode == 0, output
    found: dict[str, object] = json.loads(output.splitlines()[-1])
    return found


def test_every_order_gives_the_same_records(folder: Path) -> None:
    names = [f"{i} {w}" for i in range(12) for w in range(3, 12)]
    assert len(names) > 100
    first, *others = (records(folder, random.Random(seed).sample(names, len(names))) for seed in range(3))
    for other in others:
        assert [name for name in names if other[name] != first[name]] == []
    for name in names[::9] + names[5::9]:
        assert records(folder, [name])[name] == first[name], name
