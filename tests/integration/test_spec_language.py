"""What a spec can say of a network's structure, and what is said when it isn't so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.integration.project import Once, Project, messages

NETS = """
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.conv(x)) + x


class Convs(nn.Module):
    '''Halves twice, three blocks, global pool.'''

    def __init__(self, stride=2):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=stride, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8), Block(8))
        self.down = nn.MaxPool2d(2)
        self.act = nn.ReLU()
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = self.act(self.down(self.blocks(x)))
        return self.head(x.mean((2, 3)))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 8, batch_first=True)
        self.gru = nn.GRU(8, 4, batch_first=True, bidirectional=True)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, ids, lengths=None):
        x, _ = self.lstm(self.embed(ids))
        x, _ = self.gru(x)
        return self.attn(x, x, x)


Point = namedtuple("Point", "x y")


@dataclass
class Result:
    logits: torch.Tensor
    state: tuple
    loss: object = None


class Out(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.fc = kind, nn.Linear(4, 6)

    def forward(self, x):
        y = self.fc(x)
        return {
            "tuple": lambda: (y, x), "list": lambda: [y, [x, x]], "dict": lambda: {"logits": y, "in": x},
            "dataclass": lambda: Result(y, (x, x)), "namedtuple": lambda: Point(x, y),
            "ordered": lambda: OrderedDict(a=y), "none": lambda: (y, None), "scalar": lambda: y.sum(),
        }[self.kind]()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.scale = nn.Parameter(torch.ones(8))
        self.register_buffer("table", torch.zeros(5, 8), persistent=False)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.embed.weight
        self.embed.weight.requires_grad_(False)
        self.same = self.norm

    def forward(self, ids):
        x = self.embed(ids).mean(1) * self.scale
        return self.head(self.same(self.norm(x)))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(6, 8)

    def forward(self, a, *, b=None, extra=None):
        y = self.left(a) + (self.right(b) if b is not None else 0)
        return y if extra is None else y + extra["shift"]


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(6, 8)

    def forward(self, a, b):
        return self.left(a) + self.right(b)


class Lazy(nn.Module):
    def __init__(self, reach=True):
        super().__init__()
        self.conv, self.fc, self.reach = nn.LazyConv2d(4, 3), nn.LazyLinear(5), reach

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return self.fc(x) if self.reach else x


class Picky(nn.Module):
    '''Control flow on values, which no meta tensor has.'''

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x):
        return self.fc(x) if float(x.abs().sum()) >= 0 else x


class Uncalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x):
        return self.parts[0](x)
"""


@pytest.fixture
def nets(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    project.write("nets.py", NETS)
    return project


CONVS = "build: nets:Convs\ninput: [B, 3, H, W]\nsizes: {H: [32, 20], W: [32, 24]}\n"
TOKENS = "build: nets:Sequence\ninput: {ids: {shape: [B, T], dtype: int64, below: 50}}\nsizes: {T: [12, 5]}\n"


def out(kind: str, pattern: str) -> str:
    return f"build: nets:Out\nargs: {{kind: {kind}}}\ninput: [B, 4]\noutput: {pattern}\n"


HOLDS = {
    "free dimensions at every size": CONVS + "layers:\n  stem: [B, 8, H/2, W/2]\n  down: [B, 8, H/4, W/4]\n",
    "whole-number arithmetic": CONVS + "layers:\n  down: [B, 2*4, (H+2)//4, ceil(W/4)]\n",
    "a glob within one part": CONVS + "layers:\n  blocks.*: {type: Block, output: [B, 8, H/2, W/2], parameters: 584}\n",
    "a glob across dots": CONVS + "layers:\n  '**.conv': {type: Conv2d}\n  blocks.**: [B, 8, H/2, W/2]\n",
    "a question mark": CONVS + "layers:\n  blocks.?.act: {type: ReLU}\n",
    "each call by its index": CONVS + "layers:\n  act[0]: [B, 8, H/2, W/2]\n  act[1]: [B, 8, H/4, W/4]\n",
    "a batch size of one's own": CONVS.replace("H: [", "B: [1, 5], H: [") + "output: [B, 10]\n",
    "a qualified type": CONVS
    + "layers:\n  stem: {type: torch.nn.modules.conv.Conv2d}\n  head: {type: linear.Linear}\n",
    "tuples of recurrent layers": TOKENS
    + "layers:\n  lstm: [[B, T, 8], [[1, B, 8], [1, B, 8]]]\n  gru: [[B, T, 8], [2, B, 4]]\n"
    + "  attn: {type: MultiheadAttention, output: [[B, T, 8], [B, T, T]]}\noutput: [[B, T, 8], [B, T, T]]\n",
    "a tuple": out("tuple", "[[B, 6], [B, 4]]"),
    "a nested list": out("list", "[[B, 6], [[B, 4], [B, 4]]]"),
    "a dict": out("dict", "{logits: [B, 6], in: [B, 4]}"),
    "a dataclass": out("dataclass", "{logits: [B, 6], state: [[B, 4], [B, 4]], loss: null}"),
    "a namedtuple by name": out("namedtuple", "{x: [B, 4], y: [B, 6]}"),
    "a namedtuple by position": out("namedtuple", "[[B, 4], [B, 6]]"),
    "an ordered dict": out("ordered", "{a: [B, 6]}"),
    "a part without a tensor": out("none", "[[B, 6], null]"),
    "a scalar": out("scalar", "[]"),
    # 50*8 tied + 8 held directly + BatchNorm's 16; its statistics 8 + 8 + 1 and a table of 5*8.
    "shared, direct, frozen, buffers": "build: nets:Tied\ninput: {ids: {shape: [B, 3], below: 50}}\n"
    "layers:\n  head: {parameters: 400}\n  norm[1]: [B, 8]\n  same: {parameters: 16}\n"
    "parameters: {total: 424, trainable: 24, buffers: 57}\noutput: [B, 50]\n",
    "several inputs by position": "build: nets:Listed\ninput: [[B, 4], [B, 6]]\noutput: [B, 8]\nmacs: 80\n",
    "several inputs by name": "build: nets:Two\ninput: {a: [B, 4], b: {shape: [B, 6]}}\noutput: [B, 8]\n",
    "a dict among the inputs": "build: nets:Two\ninput: {a: [B, 4], extra: {shift: [B, 1]}}\noutput: [B, 8]\n"
    "health: {allow_unused: [right.**]}\n",
    "double precision inputs": "build: nets:Two\ninput: {a: [B, 4], extra: {shift: {shape: [8], dtype: float64}}}\n"
    "output: [B, 8]\nhealth: {allow_unused: [right.**]}\n",
    # 4*(3*9 + 1) + 5*(4 + 1)
    "lazy layers": "build: nets:Lazy\ninput: [B, 3, 8, 8]\n"
    "layers: {fc: {type: Linear}}\nparameters: 137\noutput: [B, 5]\n",
    "no batch": "build: torch.nn:Linear\nargs: {in_features: 4, out_features: 6}\ninput: [4]\noutput: [6]\nmacs: 24\n",
    "macs to the digits written": CONVS + "macs: 498 k\n",
}  # fmt: skip


@pytest.fixture
def holding(nets: Project, once: Once) -> pytest.RunResult:
    """Verify all of the specs that hold in one run."""
    return once("holding", lambda: verified_together(nets, HOLDS))


def verified_together(project: Project, texts: Mapping[str, str]) -> pytest.RunResult:
    """Verify several specs in one run: specs/0.arch.yaml, specs/1.arch.yaml and so on."""
    for i, text in enumerate(texts.values()):
        project.spec(str(i), f"{text}function: off\n")
    return project.run("-v")


def outcomes(result: pytest.RunResult, path: str) -> list[str]:
    """Return the outcomes of a spec's items."""
    return [line.split()[1] for line in result.stdout.lines if line.startswith(f"{path}::")]


@pytest.mark.parametrize("name", HOLDS)
def test_holds(holding: pytest.RunResult, name: str) -> None:
    found = outcomes(holding, f"specs/{list(HOLDS).index(name)}.arch.yaml")
    assert set(found) == {"PASSED"}, holding.stdout.str()
    assert len(found) >= 3


# name -> (spec, the lines that must appear one after the other)
DIFFERS: dict[str, tuple[str, list[str]]] = {
    "at the second size only": (
        CONVS + "layers:\n  down: [B, 8, 8, W/4]\n",
        [
            "specs/small.arch.yaml:5: down: output shape differs",
            "  expected  [[]B, 8, 8, W/4]",
            "  actual    [[]B, 8, H/4, W/4]",
            "  module    MaxPool2d(kernel_size=2, *",
            "  at        B=2, H=20, W=24: expected [[]2, 8, 8, 6], found [[]2, 8, 5, 6]",
            "  accept    pytest --archcheck specs/small.arch.yaml -k shapes --archcheck-update",
        ],
    ),
    "a type": (
        CONVS + "layers:\n  blocks.*.act: {type: GELU}\n",
        [
            "specs/small.arch.yaml:5: blocks.0.act: type differs",
            "  expected  GELU",
            "  actual    ReLU",
            "specs/small.arch.yaml:5: blocks.1.act: type differs",
            "specs/small.arch.yaml:5: blocks.2.act: type differs",
        ],
    ),
    "calls that don't agree": (
        CONVS + "layers:\n  act: [B, 8, H/2, W/2]\n",
        ["specs/small.arch.yaml:5: act: output shape differs", "  at        call [[]1], B=2, H=32, W=32: *"],
    ),
    "a call there is not": (
        CONVS + "layers:\n  act[2]: [B, 8, H/4, W/4]\n",
        ["specs/small.arch.yaml:5: act: has no call [[]2]: the forward calls it twice, counted from 0"],
    ),
    "a layer that is never called": (
        "build: nets:Uncalled\ninput: [B, 4]\nlayers:\n  parts.*: [B, 4]\nhealth: off\n",
        ["specs/small.arch.yaml:4: parts.1: is never called by the forward"],
    ),
    "inside a tuple": (
        TOKENS + "layers:\n  lstm: [[B, T, 8], [[1, B, 8], [2, B, 8]]]\n",
        [
            "specs/small.arch.yaml:5: lstm: output shape differs at [[]1[]][[]1[]]",
            "  expected  [[]2, B, 8]",
            "  actual    [[]1, B, 8]",
        ],
    ),
    "a tuple instead of a tensor": (
        TOKENS + "layers:\n  lstm: [B, T, 8]\n",
        [
            "specs/small.arch.yaml:5: lstm: output differs",
            "  expected  [[]B, T, 8]",
            "  actual    [[][[]B, T, 8], [[][[]1, B, 8], [[]1, B, 8]]]",
        ],
    ),
    "a key too few": (
        out("dict", "{logits: [B, 6]}"),
        [
            "specs/small.arch.yaml:4: output: output differs",
            "  expected  {logits: [[]B, 6]}",
            "  actual    {logits: [[]B, 6], in: [[]B, 4]}",
        ],
    ),
    "a tensor for nothing": (
        out("tuple", "[[B, 6], null]"),
        ["specs/small.arch.yaml:4: output: output differs at [[]1[]]", "  expected  no tensor", "  actual    [[]B, 4]"],
    ),
    "frozen parameters": (
        "build: nets:Tied\ninput: {ids: {shape: [B, 3], below: 50}}\nparameters:\n  total: 424\n  trainable: 424\n",
        ["specs/small.arch.yaml:5: trainable parameters: count differs", "  expected  424", "  actual    24 (-400)"],
    ),
    "a layer's parameters before the total": (
        CONVS + "layers:\n  blocks: {parameters: 1_752}\n  blocks.1.conv: {parameters: 600}\nparameters: 2_100\n",
        [
            "specs/small.arch.yaml:6: blocks.1.conv: parameters differ",
            "  actual    584 (-16)",
            "specs/small.arch.yaml:7: parameters: count differs",
            "  actual    2_066 (-34)",
        ],
    ),
    "a layer that nobody listed": (
        CONVS + "layers:\n  stem: {parameters: 224}\n  blocks.0: {parameters: 584}\nparameters: 800\n",
        [
            "specs/small.arch.yaml:7: parameters: count differs",
            "  actual    2_066 (+1_266)",
            "  note      not listed: blocks.1 (584), blocks.2 (584), head (90)",
        ],
    ),
    "a constant that is no number": (
        "build: nets:Two\ninput: {a: [B, 4]}\noutput: [B, 16/3]\n",
        ["specs/small.arch.yaml:3: 16/3 is not a whole number*"],
    ),
    "lazy layers never reached": (
        "build: nets:Lazy\nargs: {reach: false}\ninput: [B, 3, 8, 8]\nparameters: 1\n",
        [
            "specs/small.arch.yaml:4: parameters: lazy layers without parameters yet: fc",
            "  note      the forward never calls them",
        ],
    ),
    "multiply-adds": (
        CONVS + "macs: 9.1 k\n",
        [
            "specs/small.arch.yaml:4: macs: multiply-adds differ",
            "  expected  9.1 k",
            "  actual    497.7 k (497_744)",
        ],
    ),
}  # fmt: skip


@pytest.fixture
def differing(nets: Project, once: Once) -> pytest.RunResult:
    """Verify all of the specs that do not hold in one run."""
    return once("differing", lambda: verified_together(nets, {name: text for name, (text, _) in DIFFERS.items()}))


@pytest.mark.parametrize("name", DIFFERS)
def test_differs(differing: pytest.RunResult, name: str) -> None:
    _, lines = DIFFERS[name]
    path = f"specs/{list(DIFFERS).index(name)}.arch.yaml"
    assert outcomes(differing, path).count("FAILED") == 1
    said = [line for message in messages(differing, path) for line in message]
    pytest.LineMatcher(said).fnmatch_lines([line.replace("specs/small.arch.yaml", path) for line in lines])


def test_a_forward_that_dies_is_explained_by_the_first_layer_that_differs(nets: Project) -> None:
    nets.write(
        "dying.py",
        """
        from torch import nn

        def net():
            return nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))
        """,
    )
    nets.spec(
        text="build: dying:net\ninput: [B, 1, 28, 28]\n"
        "layers:\n  1: [B, 4, 14, 14]\n  0: [B, 4, 28, 28]\n  3: [B, 10]\n"
    )
    result = nets.run("-k", "shapes")
    result.stdout.fnmatch_lines(
        [
            "specs/small.arch.yaml:5: 0: output shape differs",
            "  note      forward then stopped at 3: 676 features in, 784 expected",
            "  follows   1 more: 1 (-vv tells each)",
        ]
    )


def test_a_forward_that_dies_by_itself_is_told_at_the_layer(nets: Project) -> None:
    text = "build: nets:Listed\ninput: [[B, 4], [B, 5]]\nlayers:\n  left: [B, 8]\n  right: [B, 8]\noutput: [B, 8]\n"
    nets.spec(text=text + "macs: 1\n")
    result = nets.run()
    result.assert_outcomes(passed=1, failed=2, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "specs/small.arch.yaml:5: right: forward stopped here",
            "  actual    5 features in, 6 expected",
            "  raised    nets.py:*",
            "specs/small.arch.yaml:7: macs: can't be counted",
            "  note      forward stopped at right: 5 features in, 6 expected*",
        ]
    )


def test_what_needs_values_runs_on_the_cpu_and_says_so(nets: Project) -> None:
    nets.spec(text="build: nets:Picky\ninput: [B, 4]\noutput: [B, 6]\nparameters: 30\nmacs: 24\n")
    result = nets.run()
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(["specs/small.arch.yaml: ran on cpu: *"])


def test_more_layers_of_a_glob_than_can_be_shown(nets: Project) -> None:
    nets.write(
        "many.py", "from torch import nn\ndef net(): return nn.Sequential(*[nn.Linear(4, 4) for _ in range(9)])\n"
    )
    nets.spec(text="build: many:net\ninput: [B, 4]\nlayers:\n  '*': [B, 5]\n")
    result = nets.run()
    assert result.stdout.str().count("output shape differs\n") == 3
    result.stdout.fnmatch_lines(["  note      and 6 more layers matched by [*]"])


def test_the_first_size_is_what_macs_speak_of(nets: Project) -> None:
    # stem 16*16*8*27, blocks 3 * 16*16*8*72, head 80 at H = W = 32
    nets.spec(text=CONVS + "macs: 497_744\n")
    nets.run("-k", "compute").assert_outcomes(passed=1, deselected=3)
