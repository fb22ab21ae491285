"""Training and fixed weights compute with as many threads as pay, and with no more than the user allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archcheck.system.processors import num_cpus
from tests.integration.project import Project
from tests.integration.training.toys import CLOUDS

# Networks that write down how many threads they run with, in train mode on real data.
NETS = """
import os, torch
from torch import nn

class Telling(nn.Linear):
    def forward(self, x):
        if self.training and x.device.type != "meta":
            with open("threads.txt", "a") as file:
                print(torch.get_num_threads(), file=file)
        return super().forward(x)

def small():
    return Telling(2, 2)

def large():
    '''200 million multiply-adds for each 64 examples, in one operation among two.'''
    return nn.Sequential(Telling(2, 1800), nn.Linear(1800, 1800), nn.Linear(1800, 2))
"""
SETS = """
import torch
from torch.utils.data import TensorDataset

def clouds():
    x = torch.cat([torch.randn(128, 2) - 4, torch.randn(128, 2) + 4])
    return [TensorDataset(x, torch.arange(256) // 128)] * 2
"""
LOOP = """
def fit(model, train_loader, report):
    for inputs, targets in train_loader:
        model(inputs)
    return 1.0
"""
SMALL = CLOUDS.replace("toys:linear", "telling:small") + "function: off\n"
LARGE = SMALL.replace("telling:small", "telling:large")
OF_A_LOOP = """\
build: telling:small
input: [B, 2]
training: {loop: "telling_loop:fit", dataset: "sets:clouds", batch_size: 64, accuracy: 0.5}
function: off
"""
YIELD = {"GOMP_SPINCOUNT": "5000"}


@pytest.fixture
def telling(toys: Project) -> Project:
    toys.write("telling.py", NETS)
    toys.write("sets.py", SETS)
    toys.write("telling_loop.py", LOOP)
    return toys


def threads_of(project: Project, spec: str, *args: str, check: str = "accuracy", **given: str) -> set[int]:
    """Return the numbers of threads that a network saw, in a run of pytest of its own."""
    project.spec("net", spec)
    policies = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY", "PYTEST_XDIST_WORKER_COUNT")
    environment = {name: value for name, value in os.environ.items() if name not in policies}
    command = [sys.executable, "-m", "pytest", "-p", "archcheck.plugin", "--archcheck", "-m", f"archcheck_{check}"]
    environment |= {"OMP_NUM_THREADS": "2", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **given}
    told = Path(project.path, "threads.txt")
    told.unlink(missing_ok=True)
    done = subprocess.run(
        [*command, *args], cwd=project.path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(map(int, told.read_text().split()))


pytestmark = pytest.mark.skipif(num_cpus() < 2, reason="needs two processors")


def test_a_small_network_trains_with_one_thread(telling: Project) -> None:
    assert threads_of(telling, SMALL) == {1}


def test_a_large_one_trains_with_two(telling: Project) -> None:
    assert threads_of(telling, LARGE, **YIELD) == {2}


def test_the_users_number_is_the_most(telling: Project) -> None:
    assert threads_of(telling, LARGE, **YIELD, OMP_NUM_THREADS="1") == {1}


def test_what_a_conftest_has_set_is_the_most(telling: Project) -> None:
    telling.write("conftest.py", "import torch\ntorch.set_num_threads(1)\n")
    assert threads_of(telling, LARGE, **YIELD) == {1}


def test_a_loop_of_the_users_own_gets_as_many(telling: Project) -> None:
    assert threads_of(telling, OF_A_LOOP, **YIELD) == {1}
    assert threads_of(telling, OF_A_LOOP.replace("small", "large"), **YIELD) == {2}


def test_where_torch_came_before_its_threads_could_be_told_to_yield_one_trains(telling: Project) -> None:
    """A plugin imports it: threads that spin would wait for a core that somebody else has."""
    telling.write("early.py", "import torch\n")
    assert threads_of(telling, LARGE, "-p", "early") == {1}


def test_workers_of_xdist_share_the_processors(telling: Project) -> None:
    plugins = ("-p", "xdist.plugin", "-n", str(num_cpus()))
    assert threads_of(telling, LARGE, *plugins, **YIELD, OMP_NUM_THREADS="8") == {1}


def test_fixed_weights_run_with_as_many(telling: Project) -> None:
    small = SMALL.replace("function: off\n", "")
    assert threads_of(telling, small, check="health") == {1}
