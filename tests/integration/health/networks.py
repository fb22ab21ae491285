"""Networks by their source, verified together: one pytest run tells of the health of each."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import count
from typing import NamedTuple

from tests.integration.project import Project, messages

HEADER = """\
import random
import numpy
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.head = nn.Linear(16, 5)
        self.more()

    def more(self):
        pass

    def forward(self, x):
        return self.head(self.stem(x).relu())

"""
SPEC = """\
build: nets:Net
input: [B, 8]
"""
PATH = "specs/net.arch.yaml"


class Network(NamedTuple):
    """A network `Net`, what goes into it, and what its spec says beside that."""

    source: str
    input: str = "[B, 8]"
    more: str = ""


class Defect(NamedTuple):
    """A network with a defect, and the message about it: the headline after FILE:LINE, and the lines below by label."""

    source: str
    headline: str
    expected: str
    actual: str
    allow: str | None = None
    input: str = "[B, 8]"


class Verdict(NamedTuple):
    """The outcome of one network's item `health`, PASSED or FAILED, and its messages."""

    outcome: str
    messages: list[list[str]]


def plant(project: Project, network: Network, name: str = "net", module: str = "nets") -> str:
    """Write a module with the network, and a spec with no more than it must have. Return the spec's path."""
    project.write(f"{module}.py", HEADER + textwrap.dedent(network.source))
    text = SPEC.replace("nets", module).replace("[B, 8]", network.input) + network.more
    return str(project.spec(name, text).relative_to(project.path))


def verify_health(project: Project, networks: Mapping[str, Network]) -> dict[str, Verdict]:
    """Verify the health of several networks in one run. Return the verdicts by the networks' names."""
    number = count(len(list(project.path.glob("nets_*.py"))))  # a file of another text may have the same time of change
    paths = {name: plant(project, one, name, f"nets_{next(number)}") for name, one in networks.items()}
    result = project.run("-v", "-k", "health")
    outcomes = dict(line.split()[:2] for line in result.stdout.lines if "::health " in line)
    return {name: Verdict(outcomes[f"{path}::health"], messages(result, path)) for name, path in paths.items()}


def labelled(message: list[str], label: str) -> list[str]:
    """Return the text behind a label, of each line that has it."""
    return [line[12:] for line in message if line.startswith(f"  {label} ")]
