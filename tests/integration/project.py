"""A project of a user's, in a folder of its own, and pytest runs inside it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from tests.preloaded import PreloadedPopen

RunResult: TypeAlias = pytest.RunResult
# Named one by one, as other plugins that happen to be installed would be imported anew in every run.
PLUGINS = (
    "archcheck.plugin",
    "pytest_benchmark.plugin",
    "xdist.plugin",
    "pytest_github_actions_annotate_failures.plugin",
)

NETS = """
from collections import OrderedDict
from torch import nn

def small(channels: int = 6, padding: int = 2) -> nn.Module:
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(1, channels, 5, padding=padding), act=nn.ReLU(), pool=nn.AvgPool2d(2), flat=nn.Flatten(),
        fc=nn.Linear(channels * 14 * 14, 10)))

def raising() -> nn.Module:
    raise ValueError("no such width")
"""

# By hand: conv 6*(25+1) = 156, fc 6*14*14*10+10 = 11,770; multiply-adds 28*28*6*25 + 1176*10.
SMALL = """\
build: nets:small
input: [B, 1, 28, 28]
layers:
  conv: {type: Conv2d, output: [B, 6, 28, 28], parameters: 156}
  pool: [B, 6, 14, 14]  # halved
  fc: {type: Linear, output: [B, 10], parameters: 11_770}
output: [B, 10]
parameters: 11_926
macs: 129_360
function: off
"""


Made = TypeVar("Made")


class Once:
    """Keeps what the first test that needs it makes, such as the result of a run, for the others that look at it too.

    A run of pytest needs fixtures of one test's own, so that no fixture of a module can make it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def __call__(self, name: str, make: Callable[[], Made]) -> Made:
        """Return what is kept under a name; make it where nothing is."""
        if name not in self._kept:
            self._kept[name] = make()
        made: Made = self._kept[name]
        return made


class Project:
    """A user's repository: a module with a network, and specs beside it. It is the working directory."""

    plugins: tuple[str, ...] = PLUGINS

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makefile(".ini", pytest="[pytest]\n")
        self.write("nets.py", NETS)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def spec(self, name: str = "small", text: str = SMALL) -> Path:
        """Write specs/NAME.arch.yaml."""
        return self.write(f"specs/{name}.arch.yaml", text)

    def broken(self, old: str, new: str, name: str = "small") -> Path:
        """Write the small network's spec with one piece of text replaced."""
        assert SMALL.count(old) == 1
        return self.spec(name, SMALL.replace(old, new))

    def run(self, *args: str) -> RunResult:
        """Run `pytest --archcheck ARGS`."""
        return self.pytest("--archcheck", *args)

    def pytest(self, *args: str) -> RunResult:
        """Run `pytest ARGS` in this process, or in one of its own where xdist takes part."""
        run = self.pytest_elsewhere if "-n" in args else self.pytester.runpytest_inprocess
        return run(*(option for plugin in self.plugins for option in ("-p", plugin)), *args)

    def pytest_elsewhere(self, *args: str, cwd: Path | None = None) -> RunResult:
        """Run `pytest ARGS` in a process of its own, in the project or another folder."""
        command = [sys.executable, "-m", "pytest", *args]
        with PreloadedPopen(command, cwd=cwd or self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output, _ = process.communicate()
        return RunResult(process.wait(), output.splitlines(), [], 0.0)


def lock_of(path: Path) -> Path:
    """Return the lock beside a spec."""
    return path.with_name(path.name.replace(".arch.yaml", ".arch.lock"))


def messages(result: pytest.RunResult, path: str) -> list[list[str]]:
    """Return the messages about a spec, each with its lines `label     text` below the headline."""
    lines = result.stdout.str().splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(rf"{re.escape(path)}:\d+: ", line)]
    found = []
    for start in starts:
        end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("  "))
        found.append(lines[start:end])
    return found
