"""A project whose network is timed in a moment, and what stands for the real measurements."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.interval import judge, ratio_interval
from archcheck.throughput.regression.paired_benchmark import PairedResult, ReferenceResult
from archcheck.throughput.regression.workers import WorkerFailed, WorkerRequest
from tests.integration.project import Project

NETS = """
import torch
from torch import nn

def net(features=3, classes=2):
    return nn.Linear(features, classes)

class Calls(nn.Linear):
    '''Calls something in a forward pass on real data.'''
    def __init__(self, what):
        super().__init__(3, 2)
        self.what = what
    def forward(self, x):
        return super().forward(x) if x.is_meta else globals()[self.what](self, super().forward(x))

def raises(net, x):
    raise KeyError("no such head")
def raises_in_training(net, x):
    return raises(net, x) if net.training else x
def leaves(net, x):
    raise SystemExit(3)
def speaks(net, x):
    print("a word from forward")
    return x
def flat(net, x):
    return x[:, 0]
"""

SPEC = """\
build: fast:net
input: [B, 3]
throughput:
  batch_size: 4
"""
FLOORED = SPEC + "  min_examples_per_sec: 1000\n"
CALLS = SPEC.replace("fast:net", "fast:Calls\nargs: {what: WHAT}")
TRAINED = "training:\n  dataset: csv\n  LINE\n"


class TimedProject(Project):
    """A project whose network is timed in a moment."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        super().__init__(pytester)
        self.write("fast.py", NETS)

    def timed(self, text: str = SPEC, *args: str) -> pytest.RunResult:
        """Run the throughput item of the spec `net`."""
        self.spec("net", text)
        return self.run("-m", "archcheck_throughput", "-rs", *args)

    def pytest(self, *args: str) -> pytest.RunResult:
        """Run `pytest ARGS`, with pytest-benchmark by its own name, as it is loaded where nothing is switched off."""
        names = ["archcheck.plugin", "xdist.plugin"] + (["benchmark"] if "no:benchmark" not in args else [])
        run = self.pytester.runpytest_subprocess if "-n" in args else self.pytester.runpytest_inprocess
        result = run(*(option for name in names for option in ("-p", name)), *args)
        output = result.stdout.str() + result.stderr.str()
        assert "INTERNALERROR" not in output
        assert "Traceback" not in output
        return result

    def git(self, *arguments: str) -> str:
        """Run a git command in the project. Return what it prints."""
        done = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit everything as it is now. Return the revision as messages call it."""
        if not (self.path / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "--all")
        self.git("commit", "-qm", "as it is now")
        return f"HEAD ({self.git('rev-parse', 'HEAD')[:7]})"

    def saved(self) -> list[Path]:
        """Return the files of saved runs, the oldest first."""
        return sorted(self.path.glob(".benchmarks/*/*.json"))


class FakePairs:
    """Stands for `run_paired`. It finds the ratios given, one in each run, and the last one for good."""

    def __init__(self) -> None:
        self.found: list[float | WorkerFailed] = [1.0]
        self.asked: list[tuple[WorkerRequest, WorkerRequest, float]] = []
        self.meanwhile: Callable[[WorkerRequest, WorkerRequest], object] = lambda left, right: None

    def __call__(self, left: WorkerRequest, right: WorkerRequest, limit: float) -> PairedResult:
        self.asked.append((left, right, limit))
        self.meanwhile(left, right)
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, WorkerFailed):
            raise found
        values = (math.log(found),) * 4
        interval = ratio_interval(values)
        return PairedResult(values, interval, judge(interval, limit), 0.01 * found, 0.01, 1.0)


class FakeReferences:
    """Stands for `run_against_reference`. A step takes `ratio` times as long as the reference."""

    def __init__(self) -> None:
        self.ratio = 1.0
        self.problem = ""
        self.asked: list[tuple[str | None, Sequence[float]]] = []

    def __call__(
        self, request: WorkerRequest, reference: str | None, then: Sequence[float] = (), limit: float = math.inf
    ) -> ReferenceResult:
        self.asked.append((reference, then))
        if self.problem:
            return ReferenceResult(None, (), self.problem)
        return ReferenceResult(reference or "the operations", (math.log(self.ratio),) * 4)


class FakeFigures:
    """Stands for `measure_speed`. It finds the rates given, one each time, and the last one for good."""

    def __init__(self) -> None:
        self.rates = [1000.0]
        self.macs_per_sec: float | None = 3e9
        self.shares: list[float] = []

    def __call__(
        self, _: Any, plan: Any, device: Any, rootdir: Any, time_rounds: Callable[..., Sequence[float]], share: float
    ) -> SpeedRecord:
        self.shares.append(share)
        time_rounds(lambda: None, 5)
        rate = self.rates.pop(0) if len(self.rates) > 1 else self.rates[0]
        size = plan.recipe.batch_size
        return SpeedRecord(
            plan.mode, "cpu", 1, plan.recipe.precision, size, rate, size / rate, self.macs_per_sec, 10e9, 2_500, 0.0
        )


def message(result: pytest.RunResult, item: str = "net: throughput") -> str:
    """Return all that a failing item says."""
    output = result.stdout.str()
    assert "archcheck/" not in output
    (text,) = re.findall(rf"^_+ {item} _+\n((?:(?:[^=_\-\n].*)?\n)+)", output, re.MULTILINE)
    return str(text).rstrip("\n")


def reason(result: pytest.RunResult) -> str:
    """Return why the only item was skipped, and where."""
    result.assert_outcomes(skipped=1)
    (text,) = re.findall(r"^SKIPPED \[1\] (.*)$", result.stdout.str(), re.MULTILINE)
    return str(text)


def figures_row(result: pytest.RunResult, spec: str = "specs/net.arch.yaml") -> list[str]:
    """Return a spec's row of the table of figures: spec, mode, device, precision, batch, examples/s, and so on."""
    table = re.split(r"^spec +mode .*$", result.stdout.str(), flags=re.MULTILINE)[1]
    (line,) = [line for line in table.splitlines() if line.startswith(f"{spec} ")]
    return re.split(r"\s{2,}", line.strip())


def against(fast: TimedProject, text: str = SPEC, *args: str) -> tuple[pytest.RunResult, str]:
    """Commit all as it is, and run the throughput item against HEAD. Return the result, and what messages call HEAD."""
    fast.spec("net", text)
    label = fast.commit()
    return fast.timed(text, "--archcheck-against", "HEAD", *args), label
