"""The same seed gives the same run, and neither side's global settings reach the other."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import torch

from tests.integration.project import Project
from tests.integration.training.toys import CALLS, CLOUDS, accuracy, scripted

NOISY = CLOUDS.replace("toys:linear", "nets:noisy").replace("0.97", "1.0")


NOISY_NET = """
import random
import numpy
import torch
from torch import nn

class Noise(nn.Module):
    def forward(self, x):
        return x + random.random() + torch.rand_like(x) + numpy.random.rand()

def noisy():
    return nn.Sequential(nn.Linear(2, 8), Noise(), nn.Dropout(0.5), nn.Linear(8, 2))
"""


def test_the_same_seed_gives_the_same_run_whatever_ran_before(toys: Project) -> None:
    toys.write("nets.py", NOISY_NET)
    toys.spec("a", scripted([0.25], 0.2))
    toys.spec("toy", NOISY)
    toys.run("specs/toy.arch.yaml::accuracy", "--junitxml=first.xml")
    random.seed(5)
    torch.manual_seed(5)
    toys.run("specs/toy.arch.yaml::accuracy", "--junitxml=again.xml")
    arguments = ["-p", "archcheck.plugin", "--archcheck", "-m", "archcheck_accuracy"]
    toys.pytest_elsewhere(*arguments, "--junitxml=elsewhere.xml")
    (first,) = losses(toys, "first.xml")
    assert losses(toys, "again.xml") == [first]
    assert losses(toys, "elsewhere.xml")[1:] == [first]


def losses(project: Project, report: str) -> list[float]:
    """Return the last loss of each run in a JUnit file, to the last bit."""
    properties = ET.parse(project.path / report).getroot().iter("property")
    return [float(one.attrib["value"]) for one in properties if one.attrib["name"] == "archcheck_loss"]


def test_global_state_is_as_it_was(toys: Project) -> None:
    import numpy as np

    def state() -> list[Any]:
        random_states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
        return [
            *random_states, torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic, torch.backends.cuda.matmul.allow_tf32, torch.get_default_device(),
        ]  # fmt: skip

    before = state()
    accuracy(toys, CALLS.replace("WHAT", "meddles"))
    assert state() == before
    accuracy(toys, CALLS.replace("WHAT", "meddles_and_raises")).assert_outcomes(failed=1)
    assert state() == before


def test_a_users_data_that_meddles_with_global_state_changes_nothing(toys: Project) -> None:
    toys.write(
        "meddling.py",
        """
        import torch
        from sets import clouds as make
        def clouds():
            torch.set_default_dtype(torch.float64)
            torch.use_deterministic_algorithms(True)
            return make()
        """,
    )
    accuracy(toys, CLOUDS.replace("sets:clouds", "meddling:clouds")).assert_outcomes(passed=1)
    state = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    assert state == (torch.float32, False)


@pytest.mark.parametrize(
    "meddling",
    [
        "torch.set_default_dtype(torch.float64)",
        "torch.set_default_device('meta')",
        "torch.set_grad_enabled(False)",
        "torch.use_deterministic_algorithms(True)",
    ],
)
def test_a_users_fixtures_change_no_verdict(toys: Project, meddling: str) -> None:
    """Here the data set's own tensors are made under the user's settings."""
    toys.write(
        "conftest.py",
        f"""
        import pytest, torch
        @pytest.fixture(autouse=True)
        def meddling():
            {meddling}
            yield
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)
            torch.set_grad_enabled(True)
            torch.use_deterministic_algorithms(False)
        """,
    )
    toys.write("floats.py", """
        import torch
        from torch.utils.data import TensorDataset
        def data():
            x = torch.linspace(-1, 1, 128).repeat_interleave(2).reshape(128, 2)
            return [TensorDataset(x, (x[:, 0] > 0).long())] * 2
        """)  # fmt: skip
    text = CLOUDS.replace("sets:clouds", "floats:data").replace("epochs: 2", "epochs: 30").replace("0.97", "0.9")
    accuracy(toys, text).assert_outcomes(passed=1)
