"""Modules whose names mean something in a spec, and outputs with nothing in them: written by `new`, and verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project, lock_of, messages

NAMED = r"""
from torch import nn

NAMES = ["k", "k[0]", "k[1]", "a*b", "a?", "**", "x\\y", "k\\[0]", "k[0][1]", "[0]", "[0][1]", "*[0]?", "b: c", "null",
         "é", " s ", "ends\\"]

class Net(nn.Module):
    def __init__(self, names=NAMES, twice=False, **widths):
        super().__init__()
        self.net, self.twice = nn.ModuleDict(), twice
        for name in names:
            self.net[name] = nn.Linear(widths.get(name, 4), 4)

    def forward(self, x):
        for layer in self.net.values():
            x = layer(x)
        for layer in self.net.values() if self.twice else []:
            x = layer(x)[:, None]
        return x
"""


@pytest.mark.parametrize(
    "args", ["{}", '{"twice": true, "names": ["k[0]", "a*b", "x\\\\", "k"]}'], ids=["once", "twice"]
)
def test_modules_of_any_name_are_written_and_verified(project: Project, args: str) -> None:
    project.write("named.py", NAMED)
    assert main(["new", "named.py:Net", "--input", "B,4", "--args", args, "--output", "specs/"]) == 0
    [path] = Path("specs").glob("*.yaml")
    text = path.read_text()
    assert "  'net.k\\[0]" in text  # single quotes, in which a backslash stands for itself
    assert lock_of(path).exists()
    assert project.run().ret == 0


def test_each_of_them_is_looked_at(project: Project) -> None:
    project.write("named.py", NAMED)
    assert main(["new", "named.py:Net", "--input", "B,4", "--output", "specs/"]) == 0
    path = Path("specs/Net.arch.yaml")
    path.write_text(path.read_text().replace("parameters: 20}", "parameters: 21}"))
    result = project.run("-k", "parameters")
    found = [message[0].partition(": ")[2] for message in messages(result, "specs/Net.arch.yaml")]
    # "**" is no glob: each line speaks of one module.
    names = ["**", "*[0]?", " s ", "[0]", "[0][1]", "a*b", "a?", "b: c", "ends\\", "k", "k[0]", "k[0][1]", "k[1]"]
    names += ["k\\[0]", "null", "x\\y", "é"]
    assert sorted(found[: len(names)]) == sorted(f"net.{name}: parameters differ" for name in names)
    assert project.run("--archcheck-update").ret == 0
    assert project.run().ret == 0


def test_a_name_that_was_read_as_a_call_or_a_glob_is_told(project: Project) -> None:
    project.write("named.py", NAMED)
    project.spec(
        "odd",
        """\
        build: ../named.py:Net
        args: {names: ["k[0]", "b*"]}
        input: [B, 4]
        layers:
          net.k[0]: [B, 4]
          'net.b\\*': [B, 5]
          'net.c\\*': [B, 4]
        """,
    )
    result = project.run("-k", "shapes")
    assert messages(result, "specs/odd.arch.yaml") == [
        [
            r"specs/odd.arch.yaml:6: net.b\*: output shape differs",
            "  expected  [B, 5]",
            "  actual    [B, 4]",
            "  module    Linear(in_features=4, out_features=4, bias=True)",
        ],
        [
            "specs/odd.arch.yaml:5: net.k[0]: no such module",
            r"  note      a module has this name, in which a glob or an index is read: write net.k\[0], a backslash "
            "before it",
        ],
        [
            r"specs/odd.arch.yaml:7: net.c\*: no such module",
            r"  note      did you mean net.b\* or net?",
            "  note      nothing else fits what the spec says of it: --archcheck-update=all drops the row",
            "  accept    pytest --archcheck specs/odd.arch.yaml -k shapes --archcheck-update=all",
        ],
    ]


EMPTY = """
from typing import NamedTuple
from torch import nn

class Nothing(NamedTuple):
    pass

class Aux(nn.Module):
    def forward(self, x):
        return []

class Net(nn.Module):
    def __init__(self, heads=None, cache=None, broken=False):
        super().__init__()
        self.fc, self.aux = nn.Linear(8, 4), Aux()
        self.heads, self.cache = [] if heads is None else heads, {} if cache is None else cache

    def forward(self, x):
        y = self.fc(x)
        return {"y": y, "heads": self.heads, "aux": self.aux(y), "state": (), "cache": self.cache, "loss": y.sum(),
                "all": [[], ()], "one": [[]], "some": [y, [], None, {}], "named": Nothing()}
"""


def test_empty_outputs_are_written_and_verified(project: Project) -> None:
    project.write("empty.py", EMPTY)
    assert main(["new", "empty.py:Net", "--input", "B,8", "--output", "specs/"]) == 0
    text = Path("specs/Net.arch.yaml").read_text()
    assert (
        'output: {y: [B, 4], heads: "[]", aux: "[]", state: "()", cache: "{}", loss: [], all: ["[]", "()"], '
        'one: ["[]"], some: [[B, 4], "[]", null, "{}"], named: "()"}\n' in text
    )
    assert 'aux: {type: Aux,    output: "[]"}' in text
    assert project.run().ret == 0


@pytest.mark.parametrize(
    ("args", "place", "expected", "actual"),
    [
        ("{heads: [1]}", ".heads", '"[]"', "[null]"),
        ("{heads: {}}", ".heads", '"[]"', '"{}"'),
        ("{heads: 1}", ".heads", '"[]"', "null"),
        ("{cache: []}", ".cache", '"{}"', '"[]"'),
        ("{cache: {a: 1}}", ".cache", '"{}"', "{a: null}"),
    ],
)
def test_an_output_that_is_no_longer_empty_is_told(
    project: Project, args: str, place: str, expected: str, actual: str
) -> None:
    project.write("empty.py", EMPTY)
    output = 'output: {y: [B, 4], heads: "[]", aux: "[]", state: (), cache: {}, loss: [], all: ["[]", "()"], '
    rest = 'one: ["[]"], some: [[B, 4], "[]", null, "{}"], named: "()"}\n'
    project.spec("empty", f"build: ../empty.py:Net\nargs: {args}\ninput: [B, 8]\n{output}{rest}")
    result = project.run("-k", "shapes")
    assert messages(result, "specs/empty.arch.yaml")[0][:3] == [
        f"specs/empty.arch.yaml:4: output: output differs at {place}",
        f"  expected  {expected}",
        f"  actual    {actual}",
    ]
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    assert project.run("-k", "shapes").ret == 0


@pytest.mark.parametrize("written", ['"[}"', '"[ ]"', "'() '"])
def test_a_wrong_notation_is_told_at_its_line(project: Project, written: str) -> None:
    project.spec(text=f"build: nets:small\ninput: [B, 1, 28, 28]\noutput:\n  a: [B, 10]\n  b: {written}\n")
    result = project.run()
    (message,) = messages(result, "specs/small.arch.yaml")
    assert message[0].startswith(
        'specs/small.arch.yaml:5: b: expected a shape such as [B, 64, H/4, W/4], or "[]", "()" or "{}" for nothing'
    )
