"""The item `health`: what no sound network does is caught unasked, what a sound one does isn't, and what excuses it."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest

import archcheck
from tests.integration.project import Project

HEADER = """\
import random
import numpy
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.head = nn.Linear(16, 5)
        self.more()

    def more(self):
        pass

    def forward(self, x):
        return self.head(self.stem(x).relu())

"""
SPEC = """\
build: nets:Net
input: [B, 8]
"""
PATH = "specs/net.arch.yaml"


class Planted(NamedTuple):
    """A defect, and what is said of it: the headline behind FILE:LINE, and the lines below by their labels."""

    source: str
    headline: str
    expected: str
    actual: str
    allow: str | None = None
    input: str = "[B, 8]"


SAME = "the same output every time"
ALONE = "the output of an example to be the same alone and in a batch"
OTHERS = "another output without the other examples"
BACK = "the same output after load_state_dict into a new instance"
TRAINED = "a gradient in train mode or in eval mode"

RANDOM = {
    "dropout-stays-on": Planted(
        """
        class Net(Base):
            def forward(self, x):
                return self.head(F.dropout(self.stem(x).relu(), 0.5))
        """,
        "the network itself: draws random numbers in eval mode", SAME, "bernoulli_ was called",
        'health: {allow_random: ["**"]}',
    ),
    "dropout-of-a-block-stays-on": Planted(
        """
        class Noise(nn.Module):
            def forward(self, x):
                return F.dropout(x, 0.1)

        class Net(Base):
            def more(self):
                self.noise = Noise()
            def forward(self, x):
                return self.head(self.noise(self.stem(x).relu()))
        """,
        "noise: draws random numbers in eval mode", SAME, "bernoulli_ was called", "health: {allow_random: [noise]}",
    ),
    "noise-is-added": Planted(
        """
        class Noise(nn.Module):
            def forward(self, x):
                return x + 0.1 * torch.randn_like(x)

        class Net(Base):
            def more(self):
                self.noise = Noise()
            def forward(self, x):
                return self.head(self.noise(self.stem(x).relu()))
        """,
        "noise: draws random numbers in eval mode", SAME, "randn_like was called", "health: {allow_random: [noise]}",
    ),
    "numpy": Planted(
        """
        class Net(Base):
            def forward(self, x):
                return self.head(self.stem(x).relu()) * (1 + numpy.random.rand())
        """,
        "the network itself: differs from run to run in eval mode", SAME,
        "another output in a second run of the same input",
    ),
    "numpy-in-a-loss": Planted(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x).pow(2).mean() * (1 + numpy.random.rand())
        """,
        "the network itself: differs from run to run in eval mode", SAME,
        "another output in a second run of the same input",
    ),
    "python": Planted(
        """
        class Head(nn.Linear):
            def forward(self, x):
                return super().forward(x) * (1 + random.random())

        class Net(Base):
            def more(self):
                self.head = Head(16, 5)
        """,
        "head: differs from run to run in eval mode", SAME, "another output in a second run of the same input",
    ),
}  # fmt: skip

MIXING = {
    "softmax-over-the-batch": Planted(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x).softmax(0)
        """,
        "the network itself: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        'health: {allow_batch_dependent: ["**"]}',
    ),
    "softmax-layer-over-the-batch": Planted(
        """
        class Net(Base):
            def more(self):
                self.softmax = nn.Softmax(0)
            def forward(self, x):
                return self.softmax(super().forward(x))
        """,
        "softmax: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        "health: {allow_batch_dependent: [softmax]}",
    ),
    "batch-norm-without-running-statistics": Planted(
        """
        class Net(Base):
            def more(self):
                self.norm = nn.BatchNorm1d(16, track_running_stats=False)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
    ),
    "batch-norm-in-train-mode": Planted(
        """
        class Norm(nn.BatchNorm1d):
            def forward(self, x):
                return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=True)

        class Net(Base):
            def more(self):
                self.norm = Norm(16)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
    ),
    "batch-norm-of-images-in-train-mode": Planted(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)
            def forward(self, x):
                return self.norm(self.conv(x)).relu().mean((2, 3))
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
        "[B, 3, 8, 8]",
    ),
    "mean-of-the-batch-is-subtracted": Planted(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x - x.mean())
        """,
        "stem: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [stem]}",
    ),
    "attention-over-the-batch": Planted(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = nn.MultiheadAttention(8, 2)  # batch_first is forgotten
            def forward(self, x):
                return self.attention(x, x, x, need_weights=False)[0]
        """,
        "attention: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        "health: {allow_batch_dependent: [attention]}", "[B, 6, 8]",
    ),
}  # fmt: skip

INPUT = {
    "in-place": Planted(
        """
        class Net(Base):
            def forward(self, x):
                x += 1
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "inplace-layer-first": Planted(
        """
        class Net(Base):
            def more(self):
                self.act = nn.ReLU(inplace=True)
            def forward(self, x):
                return super().forward(self.act(x))
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-through-a-view": Planted(
        """
        class Net(Base):
            def forward(self, x):
                x.flatten(1)[:, 0] = 0
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-in-train-mode-only": Planted(
        """
        class Net(Base):
            def forward(self, x):
                if self.training:
                    x *= 2
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-on-the-second-input": Planted(
        """
        class Net(Base):
            def forward(self, x, y):
                y.clamp_(max=0)
                return super().forward(x + y)
        """,
        "forward: writes to its input", "the input as it was", "input 2 changed", input="[[B, 8], [B, 8]]",
    ),
    "in-place-on-a-named-input": Planted(
        """
        class Net(Base):
            def forward(self, x, mask):
                mask.clamp_(max=0)
                return super().forward(x + mask)
        """,
        "forward: writes to its input", "the input as it was", "input mask changed",
        input="{x: [B, 8], mask: [B, 8]}",
    ),
}  # fmt: skip

GRADIENTS = {
    "a-layer-that-is-never-called": Planted(
        """
        class Net(Base):
            def more(self):
                self.spare = nn.Linear(16, 16)
        """,
        "spare.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for spare.weight, spare.bias",
        'health: {allow_unused: [spare.**]}',
    ),
    "a-parameter-that-is-never-used": Planted(
        """
        class Net(Base):
            def more(self):
                self.scale = nn.Parameter(torch.ones(16))
        """,
        "scale: gets no gradient", TRAINED, "none for scale", "health: {allow_unused: [scale]}",
    ),
    "a-branch-that-is-detached": Planted(
        """
        class Net(Base):
            def more(self):
                self.branch = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
            def forward(self, x):
                return self.head(self.stem(x).relu() + self.branch(x).detach())
        """,
        "branch.0.weight: gets no gradient, nor do 3 more parameters", TRAINED,
        "none for branch.0.weight, branch.0.bias, branch.2.weight, branch.2.bias",
        "health: {allow_unused: [branch.**]}",
    ),
    "a-branch-without-gradients": Planted(
        """
        class Net(Base):
            def forward(self, x):
                with torch.no_grad():
                    x = self.stem(x).relu()
                return self.head(x)
        """,
        "stem.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for stem.weight, stem.bias",
        "health: {allow_unused: [stem.**]}",
    ),
    "a-branch-times-zero": Planted(
        """
        class Net(Base):
            def more(self):
                self.branch = nn.Linear(8, 16)
            def forward(self, x):
                return self.head(self.stem(x).relu() + 0.0 * self.branch(x))
        """,
        "branch.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for branch.weight, branch.bias",
        "health: {allow_unused: [branch.**]}",
    ),
    "layers-side-by-side": Planted(
        """
        class Net(Base):
            def more(self):
                self.spare, self.other = nn.Linear(8, 1), nn.Linear(8, 2)
        """,
        "spare.weight: gets no gradient, nor do 3 more parameters", TRAINED,
        "none for spare.weight, spare.bias, other.weight, other.bias", 'health: {allow_unused: ["**"]}',
    ),
    "the-root-of-zero": Planted(
        """
        class Net(Base):
            def more(self):
                self.scale = nn.Parameter(torch.ones(16))
            def forward(self, x):
                return self.head(self.stem(x) + (self.scale - self.scale).pow(2).sqrt())
        """,
        "scale: has a gradient that isn't finite", "finite gradients", "NaN or infinity for scale",
    ),
}  # fmt: skip

UNSAVED = {
    "statistics-in-a-plain-tensor": Planted(
        """
        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.mean = torch.zeros(16)
            def forward(self, x):
                if self.training:
                    self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
                return x - self.mean

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center computes with something that is no parameter and no buffer",
    ),
    "statistics-in-a-buffer-that-isnt-saved": Planted(
        """
        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(16), persistent=False)
            def forward(self, x):
                if self.training:
                    self.mean.lerp_(x.detach().mean(0).to(self.mean), 0.1)
                return x - self.mean

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center computes with something that is no parameter and no buffer",
    ),
    "a-count-of-calls": Planted(
        """
        class Head(nn.Linear):
            def __init__(self, *sizes):
                super().__init__(*sizes)
                self.calls = 0
            def forward(self, x):
                self.calls += 1
                return super().forward(x) * self.calls

        class Net(Base):
            def more(self):
                self.head = Head(16, 5)
        """,
        "state_dict: doesn't bring the network back", BACK,
        "head computes with something that is no parameter and no buffer",
    ),
    "statistics-in-an-object": Planted(
        """
        class Mean:
            def __init__(self):
                self.values = torch.zeros(16)

        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, self.mean = 16, Mean()
            def forward(self, x):
                if self.training:
                    self.mean.values = 0.9 * self.mean.values + 0.1 * x.detach().mean(0)
                return x - self.mean.values

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center computes with something that is no parameter and no buffer",
    ),
    "an-order-drawn-by-numpy": Planted(
        """
        import numpy as np

        class Shuffled(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, self.order = 16, np.random.permutation(16)
            def forward(self, x):
                return x[:, torch.from_numpy(self.order)]

        class Net(Base):
            def more(self):
                self.shuffled = Shuffled()
            def forward(self, x):
                return self.head(self.shuffled(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "shuffled computes with something that is no parameter and no buffer",
    ),
    "a-number-that-only-a-function-knows": Planted(
        """
        import random

        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, scale = 16, random.random()
                self.scaled = lambda x: x * scale
            def forward(self, x):
                return self.scaled(x)

        class Net(Base):
            def more(self):
                self.gain = Scaled()
            def forward(self, x):
                return self.head(self.gain(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "gain computes with something that is no parameter and no buffer",
    ),
    "layers-in-a-plain-list": Planted(
        """
        class Net(Base):
            def more(self):
                self.blocks = [nn.Linear(16, 16) for _ in range(2)]
            def forward(self, x):
                x = self.stem(x)
                for block in self.blocks:
                    x = block(x).relu()
                return self.head(x)
        """,
        "state_dict: doesn't bring the network back", BACK, "blocks holds a Linear that is no part of the network",
    ),
    "layers-in-a-plain-dict-of-a-block": Planted(
        """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.act, self.paths = nn.ReLU(), {"a": nn.Linear(16, 16)}
            def forward(self, x):
                return self.act(self.paths["a"](x))

        class Net(Base):
            def more(self):
                self.block = Block()
            def forward(self, x):
                return self.head(self.block(self.stem(x)))
        """,
        "state_dict: doesn't bring the network back", BACK,
        "block.paths holds a Linear that is no part of the network",
    ),
    "a-weight-that-is-no-parameter": Planted(
        """
        class Net(Base):
            def more(self):
                self.scale = torch.ones(16, requires_grad=True)
            def forward(self, x):
                return self.head(self.scale * self.stem(x).relu())
        """,
        "state_dict: doesn't bring the network back", BACK, "scale holds a Tensor that is no part of the network",
    ),
    "parameters-in-a-plain-list": Planted(
        """
        class Net(Base):
            def more(self):
                self.scales = [nn.Parameter(torch.ones(16))]
            def forward(self, x):
                return self.head(self.scales[0] * self.stem(x).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "scales holds a Parameter that is no part of the network",
    ),
}  # fmt: skip

PLANTED = {**RANDOM, **MIXING, **INPUT, **GRADIENTS, **UNSAVED}
EXCUSED = {name: one for name, one in PLANTED.items() if one.allow is not None}
# source, input, what else is in the spec
SOUND = {
    "a-head-that-starts-from-zeros": (
        """
        class Net(Base):
            def more(self):
                nn.init.zeros_(self.head.weight)
                nn.init.zeros_(self.head.bias)
        """,
        "[B, 8]", "",
    ),
    "a-residual-branch-that-starts-from-zeros": (
        """
        class Net(Base):
            def more(self):
                self.branch, self.gain = nn.Linear(16, 16), nn.Parameter(torch.zeros(1))
            def forward(self, x):
                x = self.stem(x)
                return self.head(x + self.gain * self.branch(x))
        """,
        "[B, 8]", "",
    ),
    "a-frozen-backbone": (
        """
        class Net(Base):
            def more(self):
                self.stem.requires_grad_(False)
        """,
        "[B, 8]", "",
    ),
    "a-frozen-backbone-under-no-grad": (
        """
        class Net(Base):
            def more(self):
                self.stem.requires_grad_(False)
            def forward(self, x):
                with torch.no_grad():
                    x = self.stem(x)
                return self.head(x)
        """,
        "[B, 8]", "",
    ),
    "an-auxiliary-head-in-train-mode": (
        """
        class Net(Base):
            def more(self):
                self.aux = nn.Linear(16, 5)
            def forward(self, x):
                x = self.stem(x).relu()
                return (self.head(x), self.aux(x)) if self.training else self.head(x)
        """,
        "[B, 8]", "",
    ),
    "a-layer-that-runs-in-eval-mode-only": (
        """
        class Net(Base):
            def more(self):
                self.projection = nn.Linear(5, 5)
            def forward(self, x):
                x = super().forward(x)
                return x if self.training else self.projection(x)
        """,
        "[B, 8]", "",
    ),
    "dropout": (
        """
        class Net(Base):
            def more(self):
                self.drop = nn.Dropout(0.5)
            def forward(self, x):
                return self.head(F.dropout(self.drop(self.stem(x)), 0.1, self.training))
        """,
        "[B, 8]", "",
    ),
    "batch-norm": (
        """
        class Net(Base):
            def more(self):
                self.norm = nn.BatchNorm1d(16)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
        "[B, 8]", "",
    ),
    "the-bias-of-the-keys": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
            def forward(self, x):
                return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        """,
        "[B, 6, 8]", "",
    ),
    "torchs-attention": (
        """
        class Net(nn.MultiheadAttention):
            def __init__(self):
                super().__init__(8, 2, batch_first=True)
            def forward(self, x):
                return super().forward(x, x, x, need_weights=False)[0]
        """,
        "[B, 6, 8]", "",
    ),
    "tied-weights": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
                self.head.weight = self.embedding.weight
            def forward(self, ids):
                return self.head(self.embedding(ids))
        """,
        "{shape: [B, 6], dtype: int64, below: 20}", "",
    ),
    "bounded-ids": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 3)
            def forward(self, ids):
                mask = (ids != 0).unsqueeze(-1)
                return self.head((self.embedding(ids) * mask).sum(1) / mask.sum(1))
        """,
        "{shape: [B, 6], dtype: int64, below: 20}", "",
    ),
    "a-variational-autoencoder": (
        """
        class Net(Base):
            def more(self):
                self.decoder = nn.Linear(8, 8)
                self.head = nn.Linear(16, 16)
            def forward(self, x):
                mean, log_var = super().forward(x).chunk(2, -1)
                return self.decoder(mean + torch.randn_like(mean) * (log_var / 2).exp()), mean, log_var
        """,
        "[B, 8]", "health: {allow_random: ['**']}\n",
    ),
    "a-loss": (
        """
        class Net(Base):
            def forward(self, x, target):
                return F.mse_loss(super().forward(x), target)
        """,
        "{x: [B, 8], target: [B, 5]}", "",
    ),
    "a-loss-beside-the-output": (
        """
        class Net(Base):
            def forward(self, x, target):
                out = super().forward(x)
                return {"loss": F.mse_loss(out, target), "out": out}
        """,
        "{x: [B, 8], target: [B, 5]}", "",
    ),
    "a-teacher-that-follows-its-student": (
        """
        class Net(Base):
            def more(self):
                self.teacher = nn.Linear(8, 16).requires_grad_(False)
            @torch.no_grad()
            def follow(self):
                for ours, theirs in zip(self.teacher.parameters(), self.stem.parameters()):
                    ours.mul_(0.9).add_(theirs, alpha=0.1)
            def forward(self, x):
                if self.training:
                    self.follow()
                with torch.no_grad():
                    target = self.teacher(x)
                return self.head(self.stem(x)), target
        """,
        "[B, 8]", "",
    ),
    "statistics-in-a-buffer": (
        """
        class Net(Base):
            def more(self):
                self.register_buffer("mean", torch.zeros(16))
            def forward(self, x):
                x = self.stem(x)
                if self.training:
                    self.mean.lerp_(x.detach().mean(0), 0.1)
                return self.head(x - self.mean)
        """,
        "[B, 8]", "",
    ),
    "a-table-in-a-plain-tensor": (
        """
        class Net(Base):
            def more(self):
                self.table = torch.arange(8.0)
            def forward(self, x):
                return super().forward(x + self.table)
        """,
        "[B, 8]", "",
    ),
    "lstm": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.head = nn.LSTM(8, 6, num_layers=2, batch_first=True, dropout=0.2), nn.Linear(6, 3)
            def forward(self, x):
                return self.head(self.lstm(x)[0][:, -1])
        """,
        "[B, 7, 8]", "",
    ),
    "in-place-on-what-is-its-own": (
        """
        class Net(Base):
            def more(self):
                self.act = nn.ReLU(inplace=True)
            def forward(self, x):
                return self.head(self.act(self.stem(x).add_(1)))
        """,
        "[B, 8]", "",
    ),
}  # fmt: skip


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(project.path)
    return project


def plant(project: Project, source: str, shape: str = "[B, 8]", more: str = "") -> None:
    """nets:Net, and specs/net.arch.yaml of it with no more than it must have."""
    project.write("nets.py", HEADER + textwrap.dedent(source))
    project.spec("net", SPEC.replace("[B, 8]", shape) + more)


def messages(result: pytest.RunResult) -> list[list[str]]:
    """The messages of a run, each with its lines `label     text` below the headline."""
    lines = result.stdout.str().splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(f"{PATH}:")]
    found = []
    for start in starts:
        end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("  "))
        found.append(lines[start:end])
    return found


def labelled(message: list[str], label: str) -> list[str]:
    return [line[12:] for line in message if line.startswith(f"  {label} ")]


@pytest.mark.parametrize("name", list(PLANTED))
def test_what_no_sound_network_does_is_caught_where_the_spec_names_the_build(here: Project, name: str) -> None:
    planted = PLANTED[name]
    plant(here, planted.source, planted.input)
    result = here.run("-k", "health")
    result.assert_outcomes(failed=1)
    [message] = messages(result)
    assert message[0] == f"{PATH}:1: {planted.headline}"
    assert labelled(message, "expected") == [planted.expected]
    assert labelled(message, "actual") == [planted.actual]
    assert labelled(message, "allow") == ([] if planted.allow is None else [planted.allow])


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_stays_green(here: Project, name: str) -> None:
    source, shape, more = SOUND[name]
    plant(here, source, shape, more)
    result = here.run("-k", "health")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("name", EXCUSED)
def test_what_the_message_suggests_excuses_it(here: Project, name: str) -> None:
    planted = EXCUSED[name]
    plant(here, planted.source, planted.input)
    [message] = messages(here.run("-k", "health"))
    [allow] = labelled(message, "allow")
    here.spec("net", SPEC.replace("[B, 8]", planted.input) + f"{allow}\n")
    here.run("-k", "health").assert_outcomes(passed=1)


NOISY = RANDOM["dropout-of-a-block-stays-on"].source
MIXED = MIXING["softmax-layer-over-the-batch"].source
UNUSED = GRADIENTS["a-branch-that-is-detached"].source


@pytest.mark.parametrize(
    ("source", "health"),
    [
        (NOISY, "{allow_random: ['no*']}"),
        (NOISY, "{allow_random: ['**']}"),
        (MIXED, "{allow_batch_dependent: [softma?]}"),
        (UNUSED, "{allow_unused: ['branch.*.*']}"),
        (UNUSED, "{allow_unused: [branch]}"),
        (UNUSED, "{allow_unused: [branch.0, branch.2.weight, branch.2.bias]}"),
        (UNUSED, "{allow_unused: ['**']}"),
    ],
)
def test_modules_globs_and_parameters_excuse(here: Project, source: str, health: str) -> None:
    plant(here, source, more=f"health: {health}\n")
    here.run("-k", "health").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("source", "health", "headline"),
    [
        (NOISY, "{allow_random: [head]}", "noise: draws random numbers in eval mode"),
        (NOISY, "{allow_random: []}", "noise: draws random numbers in eval mode"),
        (NOISY, "{allow_batch_dependent: ['**']}", "noise: draws random numbers in eval mode"),
        (MIXED, "{allow_batch_dependent: [soft]}", "softmax: mixes the examples of a batch in eval mode"),
        (UNUSED, "{allow_unused: [branch.0]}", "branch.2.weight: gets no gradient, nor does 1 more parameter"),
        (UNUSED, "{allow_unused: ['branch.*.weight']}", "branch.0.bias: gets no gradient, nor does 1 more parameter"),
    ],
)
def test_what_isnt_excused_fails_where_the_spec_says_what_is(
    here: Project, source: str, health: str, headline: str
) -> None:
    plant(here, source, more=f"health: {health}\n")
    [message] = messages(here.run("-k", "health"))
    assert message[0] == f"{PATH}:3: {headline}"


def test_all_that_is_wrong_is_told_at_once(here: Project) -> None:
    source = """
    class Net(Base):
        def more(self):
            self.spare = nn.Parameter(torch.ones(3))
        def forward(self, x):
            x += torch.randn_like(x)
            return super().forward(x)
    """
    plant(here, source)
    assert [message[0] for message in messages(here.run("-k", "health"))] == [
        f"{PATH}:1: the network itself: draws random numbers in eval mode",
        f"{PATH}:1: forward: writes to its input",
        f"{PATH}:1: spare: gets no gradient",
    ]


def test_a_defect_of_health_fails_no_other_item(here: Project) -> None:
    plant(here, NOISY, more="output: [B, 5]\n")
    result = here.run("-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"{PATH}::shapes PASSED*", f"{PATH}::health FAILED*"])


def test_health_that_is_off_is_no_item(here: Project) -> None:
    plant(here, NOISY, more="output: [B, 5]\nhealth: off\n")
    result = here.run("-v")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*::health*")


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ("{allow_randm: [noise]}", "unknown key 'allow_randm'; did you mean allow_random?"),
        ("{allow_unsued: ['**']}", "unknown key 'allow_unsued'; did you mean allow_unused?"),
    ],
)
def test_an_unknown_key_is_an_error_of_the_spec(here: Project, health: str, message: str) -> None:
    plant(here, NOISY, more=f"health: {health}\n")
    result = here.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{PATH}:3: *{message}"])


def test_verify_tells_of_health(here: Project) -> None:
    plant(here, NOISY)
    [found] = archcheck.verify(PATH).outcomes["health"]
    assert (found.subject, found.problem) == ("noise", "draws random numbers in eval mode")


def test_verify_tells_that_a_network_is_sound(here: Project) -> None:
    plant(here, "class Net(Base): pass\n")
    result = archcheck.verify(PATH)
    assert result.outcomes["health"] == []
    assert result.ok
