"""Networks of unusual make, from `archcheck new` to a verdict: a spec is written, and it holds at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project

NETS = """
import torch
from torch import nn

class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("adj", torch.eye(10).to_sparse())
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return torch.sparse.mm(self.adj, self.fc(x))

class Ragged(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        rows = torch.nested.as_nested_tensor([one[: 2 + i % 2] for i, one in enumerate(x)], layout=torch.jagged)
        return self.fc(rows).to_padded_tensor(0.0, output_size=(len(x), x.shape[1], 4))

class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return torch.nested.as_nested_tensor(list(self.fc(x)))

def exported():
    return torch.export.export(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), (torch.zeros(2, 8),)).module()

class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return self.fc(x)

class Settings(nn.Module):
    def __init__(self):
        super().__init__()
        self.parameters, self.buffers, self.train, self.children = {"lr": 0.1}, 4, True, None
        self.fc, self.norm = nn.Linear(8, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.fc(x))

class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.modules = [nn.Linear(8, 8)]
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(self.modules[0](x))
"""


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize(
    ("name", "shape", "recorded"),
    [
        ("Graph", "10,8", "output: [10, 4]\nparameters: {total: 36, buffers: 100}\n"),
        ("Ragged", "B,5,8", "output: [B, 5, 4]\nparameters: 36\n"),
        ("Bag", "B,5,8", "fc: {type: Linear, output: [B, 5, 4], parameters: 36}\nparameters: 36\n"),
        ("exported", "2,8", "output: [2, 4]\nparameters: 36\nmacs: 64\n"),
        ("Autocast", "B,8", "output: [B, 4]\nparameters: 36\nmacs: 32\n"),
        ("Settings", "B,8", "output: [B, 4]\nparameters: {total: 44, buffers: 9}\nmacs: 32\n"),
    ],
)
def test_a_spec_is_written_and_holds(project: Project, name: str, shape: str, recorded: str) -> None:
    project.write("unusual.py", NETS)
    assert main(["new", f"unusual.py:{name}", "--input", shape, "--output", "specs/"]) == 0
    assert recorded in Path(f"specs/{name}.arch.yaml").read_text()
    assert project.run().ret == 0


def test_what_can_not_be_promised_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("unusual.py", NETS)
    assert main(["new", "unusual.py:Bag", "--input", "B,5,8"]) == 0
    assert "unusual.py:Bag: no pattern fits the output, so the spec leaves it open" in capsys.readouterr().err


def test_a_layer_in_a_list_is_one_that_nothing_trains(project: Project) -> None:
    """The attribute `modules` hides a method, and that it's a list is a mistake of its own."""
    project.write("unusual.py", NETS)
    assert main(["new", "unusual.py:Listed", "--input", "B,8", "--output", "specs/"]) == 0
    path = Path("specs/Listed.arch.yaml")
    assert "\nhealth: off  # state_dict doesn't bring the network back\n" in path.read_text()
    path.write_text(path.read_text().partition("\nhealth:")[0])
    result = project.run()
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["  actual    modules holds a Linear that is no part of the network"])
