"""A run of pytest on an accelerator: the checks that look at values, timed and trained, with a lock of the CPU's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.integration.project import Project, RunResult

SPECS: Final = Path(__file__).parents[3] / "specs"
ON_THE_DEVICE: Final = ("-p", "tests.accelerator.backend", "--archcheck", "--archcheck-device", "pretended")

MIXING = """\
import torch
from torch import nn

class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x):
        return self.fc(x) + torch.ones(4)
"""
MIXING_SPEC = """\
build: mixing.py:Mixing
input: [B, 4]
function: off
health: off
throughput: {batch_size: 4}
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", str(SPECS.parent))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # a run within a worker isn't one: it may measure
    return Project(pytester)


def run(project: Project, *args: str) -> RunResult:
    return project.pytest_elsewhere(*ON_THE_DEVICE, *args)


def test_what_was_recorded_on_the_cpu_holds_on_an_accelerator(project: Project) -> None:
    (project.path / "specs").mkdir()
    for name in ("lenet-bn", "vit-small"):
        for path in SPECS.glob(f"{name}.arch.*"):
            shutil.copy(path, project.path / "specs")
    result = run(project, "-k", "health or function")
    result.assert_outcomes(passed=4)


def test_steps_are_timed_on_an_accelerator(project: Project) -> None:
    project.spec("small", "build: nets:small\ninput: [B, 1, 28, 28]\nfunction: off\nthroughput: {batch_size: 8}\n")
    result = run(project, "-k", "throughput", "--benchmark-disable-gc")
    result.stdout.fnmatch_lines(["specs/small.arch.yaml * Pretended P1 * 8 *"])


def test_a_network_that_mixes_devices_is_stopped_as_on_a_gpu(project: Project) -> None:
    project.write("mixing.py", MIXING)
    project.spec("mixing", MIXING_SPEC.replace("mixing.py", "../mixing.py"))
    result = run(project, "-k", "throughput")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Expected all tensors to be on the same device, but found at least two devices*"])


def test_a_device_that_torch_does_not_know_is_told_with_those_that_are_there(project: Project) -> None:
    project.spec()
    result = run(project, "--archcheck-device", "gpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.outlines if line.startswith("ERROR")] == [
        "ERROR: expected auto or a device that torch knows, found 'gpu'; "
        "this machine has cpu, pretended:0 (Pretended P1)"
    ]
