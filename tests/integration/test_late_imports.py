"""A network's code imports what lies beside its file only when it runs: in its forward, its loop, its inputs."""

from __future__ import annotations

import sys

import pytest

from tests.integration.project import Project, messages

NET = """
import importlib
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.register_forward_hook(noted)

    def forward(self, x):
        from late_blocks import act
        return act(self.fc(x.flatten(1)))

def noted(module, args, output):
    return importlib.import_module("late_blocks").kept(output)

def inputs(sizes):
    import torch
    from late_blocks import width
    return torch.linspace(0, 1, sizes["B"] * width).reshape(sizes["B"], width)

def loop(model, report, train_loader, test_loader):
    import torch
    from late_blocks import rate
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for images, labels in train_loader:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    correct = total = 0
    for images, labels in test_loader:
        correct += int((model(images).argmax(1) == labels).sum())
        total += len(labels)
    report(1, float(loss.detach()), correct / total)
"""
BLOCKS = """
rate, width = 0.1, 64

def act(x):
    return x.{act}()

def kept(output):
    return output
"""


def write(project: Project, folder: str, act: str) -> None:
    project.write(f"{folder}/late_net.py", NET)
    project.write(f"{folder}/late_blocks.py", BLOCKS.replace("{act}", act))


@pytest.fixture
def networks(project: Project) -> Project:
    write(project, "a/models", "tanh")
    write(project, "b/models", "relu")
    return project


def archcheck(project: Project, *arguments: str) -> str:
    result = project.pytester.run(sys.executable, "-m", "archcheck.cli", *arguments)
    assert result.ret in (0, 1), result.stderr.str()
    return result.stdout.str()


def new(project: Project, folder: str, *options: str) -> str:
    target = f"{folder}/models/late_net.py:Net"
    return archcheck(project, "new", target, "--output", f"specs/{folder}.arch.yaml", *options)


def test_everything_that_runs_the_network_finds_it(networks: Project) -> None:
    new(networks, "a", "--input", "B,64", "--cost", "--compile", "--export")
    spec = networks.path / "specs" / "a.arch.yaml"
    spec.write_text(f"{spec.read_text()}equivalent_to: ../b/models/late_net.py:Net\n")
    head = "build: ../a/models/late_net.py:Net\ninput: [B, 64]\nfunction: off\n"
    trained = "training: {dataset: digits, loop: ../a/models/late_net.py:loop, accuracy: 0.2}\n"
    networks.spec("trained", f"{head}{trained}throughput: {{batch_size: 4, min_examples_per_sec: 1}}\n")
    result = networks.run("specs", "--archcheck-train=full", "--archcheck-report", "report.html")
    # The only thing that differs is what the other network's neighbour computes.
    assert result.parseoutcomes()["failed"] == 1, result.stdout.str()
    assert messages(result, "specs/a.arch.yaml")[0][0].endswith("differs from output of ../b/models/late_net.py:Net")
    assert "ModuleNotFoundError" not in result.stdout.str() + (networks.path / "report.html").read_text()


def test_neighbours_of_one_name_are_each_folders_own(networks: Project) -> None:
    for folder in ("a", "b"):
        new(networks, folder)
    networks.run("specs").assert_outcomes(passed=12)
    networks.run("specs", "-p", "no:randomly", "specs/b.arch.yaml", "specs/a.arch.yaml").assert_outcomes(passed=12)
    write(networks, "b/models", "tanh")
    result = networks.pytest_elsewhere("-p", "archcheck.plugin", "--archcheck", "specs")
    result.assert_outcomes(passed=11, failed=1)
    assert "tanh" in result.stdout.str()


def test_what_makes_the_inputs_and_commands_find_it(networks: Project) -> None:
    made = ("--inputs-from", "a/models/late_net.py:inputs")
    new(networks, "a", *made)
    networks.run("specs").assert_outcomes(passed=6)
    assert "Linear" in archcheck(networks, "show", "a/models/late_net.py:Net", *made)
    told = archcheck(networks, "diff", "a/models/late_net.py:Net", "b/models/late_net.py:Net", "--input", "B,64")
    assert "no difference in structure" in told
