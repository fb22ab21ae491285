"""A failure with one cause: the first layer is told whole, what only follows in a line; no other is hidden."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import Project, RunResult, messages

NETS = """
from collections import OrderedDict
from torch import nn

def net(padding=1, stride=1, width=4, second=6):
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, width, 3, padding=padding), bn=nn.BatchNorm2d(width), act=nn.ReLU(),
        conv2=nn.Conv2d(width, second, 3, padding=1, stride=stride), pool=nn.AvgPool2d(2),
        up=nn.Conv2d(second, 8, 1)))

KEPT = net(padding=0)

def kept():
    return KEPT
"""
SPEC = """\
build: nets:net
ARGS
input: [B, 1, 16, 16]
layers:
  conv1: [B, 4, 16, 16]
  bn: [B, 4, 16, 16]
  act: [B, 4, 16, 16]
  conv2: [B, 6, 16, 16]
  pool: [B, 6, 8, 8]
  up: [B, 8, 8, 8]
output: [B, 8, 8, 8]
function: off
health: off
"""
PATH = "specs/net.arch.yaml"


def verified(project: Project, args: str, *options: str, spec: str = SPEC) -> RunResult:
    project.write("nets.py", NETS)
    project.spec("net", spec.replace("ARGS", f"args: {{{args}}}"))
    return project.run("-k", "shapes", *options)


def told(result: RunResult) -> list[str]:
    """The layers that have a message of their own."""
    return [re.sub(r"^\S+ (\w+): .*", r"\1", lines[0]) for lines in messages(result, PATH)]


def line(result: RunResult, label: str) -> str | None:
    return next((one.split(None, 1)[1] for one in result.outlines if one.startswith(f"  {label} ")), None)


def test_what_only_follows_from_the_first_layer_is_a_line(project: Project) -> None:
    result = verified(project, "padding: 0")
    assert told(result) == ["conv1"]
    assert line(result, "follows") == "6 more: bn, act, conv2, pool, … (-vv tells each)"
    assert line(result, "accept") == f"pytest --archcheck {PATH} -k shapes --archcheck-update"
    result.stdout.fnmatch_lines([f"FAILED {PATH}::shapes - conv1: output shape differs"])


def test_all_of_it_is_told_where_that_is_asked_for(project: Project) -> None:
    result = verified(project, "padding: 0", "-vv")
    assert told(result) == ["conv1", "bn", "act", "conv2", "pool", "up", "output"]
    assert line(result, "follows") is None


def test_a_second_difference_of_the_same_dimensions_is_told(project: Project) -> None:
    result = verified(project, "padding: 0, stride: 2")
    assert told(result) == ["conv1", "conv2"]
    assert line(result, "follows") == "5 more: bn, act, pool, up, … (-vv tells each)"
    result.stdout.fnmatch_lines([f"FAILED {PATH}::shapes - conv1: output shape differs (and 1 more)"])


def test_a_layer_that_was_made_for_another_width_has_a_cause_of_its_own(project: Project) -> None:
    result = verified(project, "width: 5")
    assert told(result) == ["conv1", "bn"]
    assert line(result, "follows") == "1 more: act (-vv tells each)"


def test_a_layer_that_is_never_reached_in_the_run_that_would_show_it_is_told(project: Project) -> None:
    """With the second width put right, the layer behind it doesn't take it: what comes then can't be seen."""
    result = verified(project, "second: 7", spec=SPEC.replace("up: [B, 8, 8, 8]", "up: [B, 9, 8, 8]"))
    assert told(result) == ["conv2", "up"]
    assert line(result, "follows") == "1 more: pool (-vv tells each)"


def test_another_type_is_never_a_consequence(project: Project) -> None:
    spec = SPEC.replace("pool: [B, 6, 8, 8]", "pool: {type: MaxPool2d, output: [B, 6, 8, 8]}")
    assert told(verified(project, "padding: 0", spec=spec)) == ["conv1", "pool"]


def test_an_output_that_is_wrong_by_itself_is_told(project: Project) -> None:
    spec = SPEC.replace("output: [B, 8, 8, 8]\nfunction", "output: [B, 8, 8, 9]\nfunction")
    assert told(verified(project, "padding: 0", spec=spec)) == ["conv1", "output"]


def test_of_a_layer_that_is_called_again_behind_a_stop_the_calls_before_it_follow(project: Project) -> None:
    """With only one of two branches put right, the sum of both stops, before `act` is called a second time."""
    project.write(
        "both.py",
        """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.left, self.right, self.act = nn.Conv1d(1, 2, 3), nn.Conv1d(1, 2, 3), nn.ReLU()

            def forward(self, x):
                return self.act(self.act(self.left(x)) + self.right(x))
        """,
    )
    rows = "".join(f"  {name}: [B, 2, 9]\n" for name in ("left", "act[0]", "right", "act[1]"))
    spec = f"build: both:Net\ninput: [B, 1, 9]\nlayers:\n{rows}output: [B, 2, 9]\nfunction: off\nhealth: off\n"
    result = verified(project, "", spec=spec)
    assert told(result) == ["left", "right"]
    assert line(result, "follows") == "3 more: act[0], act[1], output (-vv tells each)"


@pytest.mark.parametrize(("args", "expected"), [("", ["conv1"]), (", stride: 2", ["conv1", "conv2"])])
def test_layers_of_a_glob_follow_where_all_of_them_do(project: Project, args: str, expected: list[str]) -> None:
    spec = SPEC.replace("  conv1: [B, 4, 16, 16]\n", "  conv*: [B, 6, 16, 16]\n").replace(
        "  conv2: [B, 6, 16, 16]\n", ""
    )
    spec = spec.replace("[B, 4,", "[B, 6,")
    assert told(verified(project, f"padding: 0, width: 6{args}", spec=spec)) == expected


def test_an_instance_that_a_build_returns_every_time_keeps_its_forward(project: Project) -> None:
    spec = SPEC.replace("nets:net", "nets:kept").replace("ARGS\n", "")
    project.write(
        "test_kept.py", "import nets\n\ndef test_kept():\n    assert 'forward' not in vars(nets.KEPT.conv1)\n"
    )
    project.write("nets.py", NETS)
    project.spec("net", spec)
    result = project.run("specs", "test_kept.py", "-k", "shapes or kept")
    result.assert_outcomes(passed=1, failed=1)
    assert told(result) == ["conv1"]


@pytest.mark.parametrize(("inner", "outer"), [("70", ["block.0"]), ("71", ["block.0", "block"])])
def test_a_block_is_told_where_its_count_is_off_by_more_than_what_is_in_it(
    project: Project, inner: str, outer: list[str]
) -> None:
    """By hand: the layers have 8 * 8 + 8 = 72 and 8 * 4 + 4 = 36 parameters, the spec 70 and 106 for both."""
    project.write(
        "nets.py",
        "from torch import nn\ndef net():\n    net = nn.Module()\n"
        "    net.block = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))\n    net.forward = net.block\n"
        "    return net\n",
    )
    project.spec(
        "net",
        "build: nets:net\ninput: [B, 8]\nlayers:\n  block: {parameters: 106}\n"
        f"  block.0: {{parameters: {inner}}}\nfunction: off\nhealth: off\n",
    )
    result = project.run("-k", "parameters")
    assert [lines[0].split()[1].rstrip(":") for lines in messages(result, PATH)] == outer
    assert line(result, "follows") == ("1 more: block (-vv tells each)" if len(outer) == 1 else None)
