"""The item `equivalence` and `archcheck diff --function`: two builds that are one function, and two that aren't."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archcheck
from archcheck.cli.command_line import main
from tests.integration.project import Project

NETS = """
from collections import OrderedDict
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self, bias=True, pool="AvgPool2d"):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.pool = getattr(nn, pool)(2)
        self.fc = nn.Linear(8 * 4 * 4, 5, bias=bias)

    def forward(self, x):
        return self.fc(self.pool(self.relu(self.bn(self.conv(x)))).flatten(1))

class Renamed(nn.Module):  # registered the other way round
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8 * 4 * 4, 5)
        self.down = nn.AvgPool2d(2)
        self.norm = nn.BatchNorm2d(8)
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)

    def forward(self, x):
        return self.head(self.down(self.norm(self.stem(x)).relu()).flatten(1))

class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.weight, self.offset = nn.Parameter(torch.randn(5, 128)), nn.Parameter(torch.zeros(5))

    def forward(self, x):
        x = F.avg_pool2d(F.relu(self.norm(F.conv2d(x, self.kernel, padding=1))), 2)
        return x.reshape(len(x), -1) @ self.weight.T + self.offset

def nested():
    return nn.Sequential(
        nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)), nn.ReLU()),
        nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Sequential(nn.Linear(128, 5))))

class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x):
        mean, var = self.mean, self.var
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            n = x.numel() / x.shape[1]
            with torch.no_grad():
                self.mean.lerp_(mean, 0.1)
                self.var.lerp_(var * n / (n - 1), 0.1)
        wide = (slice(None), None, None)
        x = (x - mean[wide]) / (var[wide] + 1e-5).sqrt()
        return self.gamma[wide] * x + self.beta[wide]

class ByHand(Net):
    def __init__(self):
        super().__init__()
        self.bn = Norm(8)

class ReluFirst(Net):
    def forward(self, x):
        return self.fc(self.pool(self.bn(self.relu(self.conv(x)))).flatten(1))

class Dropped(Net):
    def forward(self, x):
        x = self.pool(self.relu(self.bn(self.conv(x))))
        return self.fc(F.dropout(x, 0.1, self.training).flatten(1))

class Detached(Net):
    def forward(self, x):
        return self.fc(self.pool(self.relu(self.bn(self.conv(x).detach()))).flatten(1))

class Stopping(Net):
    def forward(self, x):
        raise RuntimeError("not today")

def raising():
    raise ValueError("no such width")
"""
PATH = "specs/net.arch.yaml"
SPEC = """\
build: nets:Net
input: [B, 3, 8, 8]
"""
ONE = "no difference in function: the same outputs and gradients under the same weights"
SHAPE = ("--input", "B,3,8,8")


@pytest.fixture
def here(project: Project) -> Project:
    project.write("nets.py", NETS)
    return project


def spec(project: Project, build: str, other: str) -> Path:
    return project.spec("net", f"{SPEC.replace('nets:Net', build)}equivalent_to: {other}\n")


def message(result: pytest.RunResult) -> list[str]:
    """Return the one message of a run: its headline, and the lines below it."""
    lines = result.stdout.str().splitlines()
    [start] = [i for i, line in enumerate(lines) if line.startswith(f"{PATH}:")]
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("  "))
    return lines[start:end]


@pytest.mark.parametrize("build", ["nets:Renamed", "nets:Functional", "nets:nested", "nets:ByHand", "nets:Net"])
@pytest.mark.parametrize("turned", [False, True])
def test_two_builds_that_are_one_function_are_green(here: Project, build: str, turned: bool) -> None:
    spec(here, *(("nets:Net", build) if turned else (build, "nets:Net")))
    result = here.run("-v", "-k", "equivalence")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"{PATH}::equivalence PASSED*"])


# the build, what it's held against, the headline
DIFFERENT = {
    "relu-before-norm": ("nets:ReluFirst", "nets:Net", "relu: the output differs from relu of nets:Net"),
    "max-for-average": (
        "nets:Net\nargs: {pool: MaxPool2d}", "nets:Net", "pool: the output differs from pool of nets:Net",
    ),
    "missing-bias": (
        "nets:Net", "{build: nets:Net, args: {bias: false}}", "fc: the output differs from fc of nets:Net",
    ),
    "under-other-names": ("nets:Renamed", "nets:ReluFirst", "norm: the output differs from bn of nets:ReluFirst"),
    "max-for-average-under-other-names": (
        "nets:Renamed", "{build: nets:Net, args: {pool: MaxPool2d}}",
        "down: the output differs from pool of nets:Net",
    ),
    "dropout": ("nets:Dropped", "nets:Net", "fc: the output in train mode differs from fc of nets:Net"),
    "detached": ("nets:Detached", "nets:Net", "conv: the gradients of its parameters differ from conv of nets:Net"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DIFFERENT))
def test_the_first_pair_that_differs_is_named_where_the_spec_names_the_other(here: Project, name: str) -> None:
    build, other, headline = DIFFERENT[name]
    path = spec(here, build, other)
    line = 1 + path.read_text().splitlines().index(f"equivalent_to: {other}")
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    assert message(result)[0] == f"{PATH}:{line}: {headline}"


def test_the_message_shows_both_numbers_and_what_else_differs(here: Project) -> None:
    spec(here, "nets:Net\nargs: {pool: MaxPool2d}", "nets:Net")
    patterns = [
        r"specs/net\.arch\.yaml:4: pool: the output differs from pool of nets:Net",
        r"  expected  mean \S+, rms \S+, check \S+",
        r"  actual    mean \S+, rms \S+, check \S+",
        r"  module    MaxPool2d\(.*\)",
        r"  differs   in the network as a whole: output, train mode, large values, gradients, input gradient",
        r"  behind    \d more: .*\bfc",
    ]
    lines = message(here.run("-k", "equivalence"))
    assert len(lines) == len(patterns)
    for pattern, line in zip(patterns, lines, strict=True):
        assert re.fullmatch(pattern, line), line


@pytest.mark.parametrize(
    ("build", "other", "line"),
    [
        ("nets:Net", "{build: nets:Net, args: {bias: false}}", "  weights   only here: fc.bias"),
        ("nets:Net\nargs: {bias: false}", "nets:Net", "  weights   only there: fc.bias"),
    ],
)
def test_weights_without_a_counterpart_are_named(here: Project, build: str, other: str, line: str) -> None:
    spec(here, build, other)
    assert line in message(here.run("-k", "equivalence"))


@pytest.mark.parametrize(
    ("other", "line", "pattern"),
    [
        ("nets:Nat", 3, r"build: nets has no 'Nat': did you mean 'Net'\?"),
        ("nowhere:Net", 3, ".*nowhere.*"),
        ("nets:raising", 3, "build: .*ValueError: no such width"),
        ("nets:Stopping", 3, "nets:Stopping: .*stops under fixed weights in eval mode"),
        ("\n  build: nets:Net\n  args:\n    bias: true\n    poool: AvgPool2d", 7, ".*poool.*did you mean .*pool.*"),
    ],
)
def test_another_build_that_fails_is_told_where_it_is_named(here: Project, other: str, line: int, pattern: str) -> None:
    spec(here, "nets:Net", other)
    result = here.run("-k", "equivalence")
    result.assert_outcomes(failed=1)
    headline = message(result)[0]
    assert re.fullmatch(rf"specs/net\.arch\.yaml:{line}: {pattern}", headline), headline
    assert "Traceback" not in result.stdout.str()


def test_another_build_that_fails_fails_no_other_item(here: Project) -> None:
    here.spec("net", f"{SPEC}output: [B, 5]\nequivalent_to: nets:Nat\n")
    result = here.run("-v")
    result.stdout.fnmatch_lines([f"{PATH}::shapes PASSED*", f"{PATH}::equivalence FAILED*"])


def test_a_spec_that_names_no_other_build_has_no_such_item(here: Project) -> None:
    here.spec("net", SPEC)
    here.run("-v").stdout.no_fnmatch_line("*::equivalence*")


def test_an_unknown_key_is_an_error_of_the_spec(here: Project) -> None:
    spec(here, "nets:Net", "{build: nets:Net, arg: {bias: false}}")
    result = here.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{PATH}:3: *unknown key 'arg'; did you mean args?"])


def test_verify_tells_of_equivalence(here: Project) -> None:
    here.write("specs/net.py", NETS)
    here.spec("net", "build: net.py:ReluFirst\ninput: [B, 3, 8, 8]\nequivalent_to: net.py:Net\n")
    [found] = archcheck.verify(PATH).outcomes["equivalence"]
    assert (found.subject, found.problem) == ("relu", "the output differs from relu of net.py:Net")


@pytest.mark.parametrize("other", ["Renamed", "Functional", "nested", "ByHand"])
def test_diff_exits_with_0_where_only_the_structure_differs(
    here: Project, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    assert main(["diff", "nets.py:Net", f"nets.py:{other}", *SHAPE, "--function"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("first divergence: ")
    assert out.splitlines()[-1] == ONE


def test_diff_of_the_structure_alone_exits_with_1_for_the_same_two(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "nets.py:Net", "nets.py:Renamed", *SHAPE]) == 1
    assert "function" not in capsys.readouterr().out


def test_diff_exits_with_1_where_the_structure_is_the_same_and_the_function_differs(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "nets.py:Net", "nets.py:Detached", *SHAPE]) == 0
    capsys.readouterr()
    assert main(["diff", "nets.py:Net", "nets.py:Detached", *SHAPE, "--function"]) == 1
    out = capsys.readouterr().out
    assert "first difference in function: conv: the gradients of its parameters differ from conv of nets.py:Net" in out


def test_diff_shows_both_sides(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "nets.py:Net", "nets.py:ReluFirst", *SHAPE, "--function"]) == 1
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("first difference in function: relu: the output differs from relu of nets.py:Net")
    assert [line.split()[0] for line in lines[start + 1 : start + 5]] == ["left", "right", "module", "differs"]
    assert lines[start + 3] == "  module    ReLU()"
