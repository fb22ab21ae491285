"""Outputs with many things that are alike, and objects that hold tensors, such as caches: written, verified, told."""

from __future__ import annotations

from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project, messages

NETS = """
from torch import nn

class Decoder(nn.Module):
    def __init__(self, layers=3, width=4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(layers))
        self.head, self.wide = nn.Linear(8, 4), nn.Linear(8, width)

    def forward(self, x):
        aux = []
        for layer in self.layers:
            x = layer(x)
            aux.append(self.head(x) if layer is not self.layers[-1] else self.wide(x))
        return {"logits": aux[-1], "aux": aux}

class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(8, 4)

    def forward(self, x):
        return [self.cell(step) for step in x.unbind(1)]

class Cache:
    def __init__(self):
        self.layers, self.owner, self.length = [], self, 0

class Layer:
    def __init__(self, keys):
        self.keys, self.kind = keys, "sliding"

class Cached(nn.Module):
    def __init__(self, layers=5, width=4):
        super().__init__()
        self.keys = nn.ModuleList(nn.Linear(8, width) for _ in range(layers))

    def forward(self, x):
        cache = Cache()
        cache.layers = [Layer(keys(x)) for keys in self.keys]
        return x, cache
"""


def spec(args: str, output: str, target: str = "Decoder") -> str:
    return f"build: ../lists.py:{target}\nargs: {args}\ninput: [B, 8]\noutput:\n  {output}\n"


def written(project: Project, target: str, *options: str) -> str:
    project.write("lists.py", NETS)
    assert main(["new", f"lists.py:{target}", *options, "--output", "specs/"]) == 0
    text = Path(f"specs/{target}.arch.yaml").read_text()
    assert project.run().ret == 0
    return next(line for line in text.splitlines() if line.startswith("output: "))


def test_a_list_as_long_as_the_input_is_written_with_its_length(project: Project) -> None:
    assert written(project, "Steps", "--input", "B,T,8", "--size", "T=12,7") == "output: [[B, 4], T times]"


def test_a_cache_is_written_by_its_attributes_that_hold_tensors(project: Project) -> None:
    assert written(project, "Cached", "--input", "B,8") == "output: [[B, 8], {layers: [{keys: [B, 4]}, 5 times]}]"


def test_a_cache_may_be_left_open(project: Project) -> None:
    project.write("lists.py", NETS)
    project.spec("c", spec("{}", "[[B, 8], null]", "Cached"))
    assert project.run("-k", "shapes").ret == 0


@pytest.mark.parametrize("layers", [1, 2, 6])
def test_any_number_of_equal_outputs_holds(project: Project, layers: int) -> None:
    project.write("lists.py", NETS)
    project.spec("d", spec(f"{{layers: {layers}}}", "{logits: [B, 4], aux: [[B, 4], ...]}"))
    assert project.run("-k", "shapes").ret == 0


def test_an_empty_list_is_any_number_too(project: Project) -> None:
    project.write("lists.py", NETS)
    project.spec("c", spec("{layers: 0}", "[[B, 8], {layers: [{keys: [B, 4]}, ...]}]", "Cached"))
    result = project.run("-k", "shapes")
    assert messages(result, "specs/c.arch.yaml")[0][1:3] == [
        "  expected  {layers: [{keys: [B, 4]}, ...]}",
        "  actual    null",
    ]  # an object without tensors is none that could be looked into
    project.spec("c", spec("{}", "[[B, 8], [[B, 4], ...]]", "Cached"))
    assert "output differs at [1]" in messages(project.run("-k", "shapes"), "specs/c.arch.yaml")[0][0]


def test_the_item_that_differs_is_told(project: Project) -> None:
    project.write("lists.py", NETS)
    path = project.spec("d", spec("{layers: 4, width: 6}", "{logits: [B, 6],\n   aux: [[B, 4],  ...]}  # each"))
    result = project.run("-k", "shapes")
    assert messages(result, "specs/d.arch.yaml") == [
        [
            "specs/d.arch.yaml:6: output: output shape differs at .aux[3]",
            "  expected  [B, 4]",
            "  actual    [B, 6]",
            "  accept    pytest --archcheck specs/d.arch.yaml -k shapes --archcheck-update",
        ]
    ]
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    assert project.run("-k", "shapes").ret == 0
    assert "aux: [[B, 4], [B, 4], [B, 4], [B, 6]]}  # each\n" in path.read_text()


def test_one_item_stands_for_all_under_an_update(project: Project) -> None:
    project.write("lists.py", NETS)
    path = project.spec("c", spec("{width: 6}", "[[B, 8], {layers: [{keys: [ B, 4]},  ...]}]  # all", "Cached"))
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    assert "  [[B, 8], {layers: [{keys: [ B, 6]},  ...]}]  # all\n" in path.read_text()


def test_another_number_is_told_and_accepted(project: Project) -> None:
    project.write("lists.py", NETS)
    path = project.spec("c", spec("{layers: 6}", "[[B, 8], {layers: [{keys: [ B, 4]}, 5 times ]}]  # all", "Cached"))
    result = project.run("-k", "shapes")
    assert messages(result, "specs/c.arch.yaml")[0][:3] == [
        "specs/c.arch.yaml:5: output: output differs at [1].layers",
        "  expected  [{keys: [B, 4]}, 5 times]",
        "  actual    [{keys: [B, 4]}, 6 times]",
    ]
    assert project.run("-k", "shapes", "--archcheck-update").ret == 0
    assert "  [[B, 8], {layers: [{keys: [ B, 4]}, 6 times ]}]  # all\n" in path.read_text()


def test_a_shape_is_needed_before_the_dots(project: Project) -> None:
    project.write("lists.py", NETS)
    project.spec("c", spec("{}", "[B, ...]", "Cached"))
    (message,) = messages(project.run(), "specs/c.arch.yaml")
    assert message == [
        "specs/c.arch.yaml:5: output: `...` takes one whole shape before it, as in [[B, 64], ...]",
    ]


def test_unknown_dimensions_in_a_repetition_are_told(project: Project) -> None:
    project.write("lists.py", NETS)
    project.spec("c", spec("{}", "[[B, 8], {layers: [{keys: [B, W]}, Q times]}]", "Cached"))
    found = [message[0] for message in messages(project.run(), "specs/c.arch.yaml")]
    assert found == [
        "specs/c.arch.yaml:5: unknown dimension W in W; the input has B",
        "specs/c.arch.yaml:5: unknown dimension Q in Q; the input has B",
    ]
