"""`pytest -n 2` on accelerators: each worker has its own or shares one; real workers, pretended devices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.integration.project import Once, Project, RunResult

ROOT: Final = Path(__file__).parents[3]

NETS = """\
import os, pathlib
import torch
from torch import nn

def net():
    return nn.Linear(4, 2)

def data():
    inputs = torch.linspace(-1, 1, 256).view(64, 4)
    one = torch.utils.data.TensorDataset(inputs, (inputs[:, 0] > 0).long())
    return one, one

class Short(nn.Module):
    '''A network that lacks memory on the device, so many times in all.'''
    def __init__(self, times, name):
        super().__init__()
        self.fc, self.times, self.file = nn.Linear(4, 2), times, pathlib.Path(f"{name}.times")
    def forward(self, x):
        if x.device.type == "pretended" and self.training:
            done = len(self.file.read_text()) if self.file.exists() else 0
            if done < self.times:
                self.file.write_text("x" * (done + 1))
                raise torch.OutOfMemoryError("tried to allocate 9 GiB")
        return self.fc(x)
"""
HEAD = "input: [B, 4]\nfunction: off\nhealth: off\n"
TRAINED = """\
training: {dataset: "../nets.py:data", batch_size: 8, epochs: 2, accuracy: 0.3}
"""
TIMED = "throughput: {batch_size: 8, min_examples_per_sec: {Pretended P1: 1}}\n"
CONFTEST = """\
import os, sys
VISIBLE, HAS_TORCH = os.environ.get("CUDA_VISIBLE_DEVICES"), "torch" in sys.modules
"""
TESTS = """\
import os
import conftest

def test_what_this_worker_sees(worker_id):
    assert conftest.VISIBLE == os.environ["CUDA_VISIBLE_DEVICES"]
    print("SEES", worker_id, conftest.VISIBLE)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    project = Project(pytester)
    project.write("nets.py", NETS)
    return project


def run(project: Project, *args: str) -> RunResult:
    plugins = [f"-ptests.accelerator.{name}" for name in ("backend", "machine")]
    return project.pytest_elsewhere(*plugins, "--archcheck", "-n", "2", "-v", "-rsf", *args)


@pytest.fixture
def apart(project: Project, once: Once, monkeypatch: pytest.MonkeyPatch) -> RunResult:
    """A run in which each of two workers has a device."""
    monkeypatch.setenv("ARCHCHECK_TEST_DEVICES", "40,40,40")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,2")

    def make() -> RunResult:
        project.spec("a", f"build: ../nets.py:net\n{HEAD}{TRAINED}{TIMED}")
        project.write("conftest.py", CONFTEST)
        project.write("test_sees.py", TESTS)
        return run(project, "specs", "test_sees.py", "--dist", "each", "-rP")

    return once("apart", make)


def test_who_got_what_is_told_in_one_line(apart: RunResult) -> None:
    apart.stdout.fnmatch_lines(["archcheck: gw0 pretended:0 (P0), gw1 pretended:1 (P1)"])


def test_each_worker_sees_its_own_of_the_callers_devices_alone(apart: RunResult) -> None:
    assert set(re.findall(r"SEES (gw\d) (\S*)", apart.stdout.str())) == {("gw0", "5"), ("gw1", "7")}


def test_each_worker_trains_and_times_on_its_own(apart: RunResult) -> None:
    for check in ("accuracy", "throughput"):
        found = re.findall(rf"^\[gw\d\] .*(PASSED|FAILED|SKIPPED) specs/a.arch.yaml::{check}", apart.stdout.str(), re.M)
        assert found == ["PASSED"] * 2
    apart.stdout.fnmatch_lines(["specs/a.arch.yaml * Pretended P1 *"])


def test_on_a_device_that_others_use_timing_comes_last_and_lack_of_memory_is_tried_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHCHECK_TEST_DEVICES", "40")
    for name, times in (("once", 1), ("always", 99)):
        args = f"args: {{times: {times}, name: {name}}}\n"
        project.spec(name, f"build: ../nets.py:Short\n{args}{HEAD}{TRAINED}{TIMED}")
    result = run(project, "-k", "accuracy or throughput")
    result.stdout.fnmatch_lines(["archcheck: gw0 and gw1 pretended:0 (P0)"])
    found = re.findall(r"^\[gw\d\] .*(PASSED|FAILED|SKIPPED) specs/(\w+).arch.yaml::(\w+)", result.stdout.str(), re.M)
    assert sorted((name, check, outcome) for outcome, name, check in found) == [
        ("always", "accuracy", "FAILED"), ("always", "throughput", "FAILED"),
        ("once", "accuracy", "PASSED"), ("once", "throughput", "PASSED"),
    ]  # fmt: skip
    assert (project.path / "once.times").read_text() == "x"
    assert (project.path / "always.times").read_text() == "xxxx"  # both checks, and both once more
    result.stdout.fnmatch_lines(
        [
            "specs/always.arch.yaml:* out of memory; a smaller batch_size or resize needs less",
            "* out of memory alone on the device, too: other workers of pytest-xdist waited meanwhile",
        ]
    )
