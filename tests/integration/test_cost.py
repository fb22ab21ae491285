"""The check `cost` and the commands that tell of it, from the user's side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from archcheck.cli.command_line import main
from tests.integration.project import Project, lock_of, messages

NETS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, bug):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.bug = bug

    def forward(self, x):
        y = self.norm(self.conv(x))
        if self.bug == "copy":
            y = y.clone()
        if self.bug == "upcast":
            y = (y.double() * 2).float()
        if self.bug == "kept":
            self.last = y * 2
        if self.bug == "twice":
            self.conv(x)
        if self.bug == "reading" and y.mean().item() > 1e9:
            y = y * 2
        return torch.relu(x + y)

def net(bug=""):
    return nn.Sequential(nn.Conv2d(3, 8, 1), Block(""), Block(bug), nn.Flatten(), nn.Linear(512, 10))

class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return "no tensor", self.fc(x)
"""
PATH = "specs/net.arch.yaml"
HEAD = "build: nets:net\ninput: [B, 3, 8, 8]\nfunction: off\n"
COST = "cost: {batch_size: 4}\n"


@pytest.fixture
def recorded(project: Project) -> Path:
    """Record what a step costs; return the path of the spec."""
    project.write("nets.py", NETS)
    path = project.spec("net", HEAD + COST)
    project.run("-k", "cost", "--archcheck-update=new").assert_outcomes(passed=1)
    return path


def with_bug(path: Path, bug: str) -> None:
    path.write_text(path.read_text().replace("nets:net\n", f"nets:net\nargs: {{bug: {bug}}}\n"))


def test_another_step_than_was_recorded_is_told_as_such(project: Project, recorded: Path) -> None:
    """A recipe that comes to a spec with a cost brings another loss and another optimizer."""
    with recorded.open("a") as spec:
        spec.write("training: {dataset: digits, optimizer: Adam}\n")
    result = project.run("-k", "cost")
    result.assert_outcomes(failed=1)
    before, now = "SGD and the mean square of the outputs", "Adam and CrossEntropyLoss"
    step = "training on [[]4, 3, 8, 8] by"
    result.stdout.fnmatch_lines([f"  note * another step was recorded, {step} {before}; this is {step} {now}"])


def test_nothing_recorded_is_skipped_with_the_command_that_records_it(project: Project) -> None:
    project.write("nets.py", NETS)
    project.spec("net", HEAD + COST)
    result = project.run("-k", "cost", "-rs")
    result.assert_outcomes(skipped=1)
    command = f"pytest --archcheck {PATH} -k cost --archcheck-update=new"
    result.stdout.fnmatch_lines([f"SKIPPED * nothing is recorded of the cost: {command}"])


def test_an_update_records_the_absent_figures_and_the_layers(project: Project, recorded: Path) -> None:
    line = recorded.read_text().splitlines()[-1]
    assert re.fullmatch(r"cost: \{batch_size: 4, memory: \S+ KiB, traffic: \S+ KiB, operations: \d+, syncs: 0\}", line)
    cost = json.loads(lock_of(recorded).read_text())["cost"]
    assert cost["step"] == "training on [4, 3, 8, 8] by SGD and the mean square of the outputs"
    assert cost["layers"]["2.norm"]["operations"] == "3 add_, native_batch_norm, native_batch_norm_backward"
    project.run("-k", "cost").assert_outcomes(passed=1)
    project.run("-k", "cost", "--archcheck-update=new").assert_outcomes(passed=1)
    assert recorded.read_text().splitlines()[-1] == line


@pytest.mark.parametrize(
    ("bug", "figure", "row"),
    [
        ("copy", "traffic", r"2 +- +\+16.00 KiB +\+1 +nets.py:15 +copy \(clone\)"),
        ("upcast", "memory", r"2 +\S+ KiB +\S+ KiB +\+6 +nets.py:17 +.*upcast to float64.*upcast to float32"),
        ("kept", "memory", r"2 +\+8.000 KiB +\+16.00 KiB +\+1 +nets.py:19 +mul more, keeps 8.000 KiB more .*\(mul\)"),
        ("twice", "traffic", r"2.conv +- +\S+ KiB +\+1 +nets.py:13 +runs 2 times, before 1"),
    ],
)
def test_a_failure_names_the_layer_the_line_and_what_it_does(
    project: Project, recorded: Path, bug: str, figure: str, row: str
) -> None:
    with_bug(recorded, bug)
    result = project.run("-k", "cost")
    result.assert_outcomes(failed=1)
    first = messages(result, PATH)[0]
    assert re.match(rf"{PATH}:5: {figure}: a step (holds|reads and writes) more", first[0])
    layers = [line.removeprefix("  layers").strip() for line in first if not line.startswith("  accept")]
    assert any(re.match(row, line) for line in layers), "\n".join(first)


def test_a_report_has_what_each_layer_holds(project: Project, recorded: Path) -> None:
    """10 outputs of 512 inputs: weights, their gradients, and what else is there at that moment."""
    project.run("-k", "cost", "--archcheck-report", "run.json")
    (spec,) = json.loads((project.path / "run.json").read_text())["specs"]
    assert spec["memory"]["4"] >= 2 * 4 * (512 * 10 + 10)
    assert {"0", "1.conv", "1.norm", "4"} <= set(spec["memory"])


def test_an_update_accepts_what_is_another(project: Project, recorded: Path) -> None:
    before = recorded.read_text()
    with_bug(recorded, "copy")
    project.run("-k", "cost", "--archcheck-update").assert_outcomes(passed=1)
    after = recorded.read_text()
    assert re.search(r"memory: \S+ KiB", before)[0] == re.search(r"memory: \S+ KiB", after)[0]  # type: ignore[index]
    assert re.search(r"traffic: \S+", before)[0] != re.search(r"traffic: \S+", after)[0]  # type: ignore[index]
    assert "clone" in json.loads(lock_of(recorded).read_text())["cost"]["layers"]["2"]["operations"]
    project.run("-k", "cost").assert_outcomes(passed=1)


def test_figures_hold_when_rounded_to_the_digits_written(project: Project) -> None:
    project.write("nets.py", NETS)
    # By hand: 32 + 2 * (584 + 16) + 5130 = 6362 parameters of 4 bytes, which is 24.85 KiB.
    for written, verdict in (("25 KiB", "passed"), ("24.9 KiB", "passed"), ("24.84 KiB", "failed")):
        project.spec("net", f"{HEAD}cost: {{memory: {{parameters: {written}}}}}\n")
        project.run("-k", "cost").assert_outcomes(**{verdict: 1})


def test_a_figure_too_small_for_the_unit_written_is_told_in_bytes(project: Project) -> None:
    project.write("nets.py", NETS)
    path = project.spec("net", f"{HEAD}cost: {{memory: {{parameters: 1.9 GB}}}}\n")
    ((_, expected, actual, *_),) = messages(project.run("-k", "cost"), PATH)
    assert (expected, actual) == ("  expected  1.9 GB", "  actual    25_448 bytes")  # 6362 parameters of 4 bytes
    project.run("-k", "cost", "--archcheck-update").assert_outcomes(passed=1)
    assert path.read_text().endswith("cost: {memory: {parameters: 25_448}}\n")


def test_a_ceiling_is_told_with_the_layers_that_cost_most(project: Project) -> None:
    project.write("nets.py", NETS)
    project.spec("net", f"{HEAD}cost: {{at_most: {{memory: 30 KiB, operations: 1_000}}}}\n")
    result = project.run("-k", "cost")
    ((headline, expected, _, largest, *_),) = messages(result, PATH)
    assert headline == f"{PATH}:4: memory: a step holds too much"
    assert expected == "  expected  at most 30 KiB"
    assert largest.split()[:2] == ["largest", "layer"]
    result = project.run("-k", "cost", "--archcheck-update=all")
    result.assert_outcomes(failed=1)  # a ceiling is a decision, which no update takes


def test_a_ceiling_keeps_an_update_from_recording_the_figure(project: Project) -> None:
    project.write("nets.py", NETS)
    path = project.spec("net", f"{HEAD}cost: {{at_most: {{memory: 1 GiB, traffic: 1 GiB, operations: 1_000}}}}\n")
    project.run("-k", "cost", "--archcheck-update=new").assert_outcomes(passed=1)
    assert "syncs: 0" in path.read_text()
    assert path.read_text().count("memory") == 1


def test_a_place_that_waits_for_the_device_is_told_at_its_line(project: Project, recorded: Path) -> None:
    with_bug(recorded, "reading")
    recorded.write_text(re.sub(r"memory: .*syncs", "syncs", recorded.read_text()))
    result = project.run("-k", "cost")
    ((headline, _, _, waits, *_),) = messages(result, PATH)
    assert headline == f"{PATH}:5: syncs: a step waits for the device more often"
    assert waits.split() == ["waits", ".item()", "nets.py:22", "2"]
    result.stdout.fnmatch_lines([f"{PATH}: *cost was measured on the CPU: needs values: Tensor.item() (nets.py:22)"])


def test_a_place_that_waits_is_told_behind_other_figures_too(project: Project) -> None:
    project.write("nets.py", NETS)
    figures = "traffic: 1 GiB, operations: 1, syncs: 0, at_most: {syncs: 0}"
    project.spec("net", f"{HEAD.replace('input', 'args: {bug: reading}' + chr(10) + 'input')}cost: {{{figures}}}\n")
    found = messages(project.run("-k", "cost"), PATH)
    assert [one[0].split(": ")[1] for one in found] == ["traffic", "operations", "syncs", "syncs"]
    waits = [[line.split() for line in one if line.startswith("  waits")] for one in found]
    assert waits == [[], [], *[[["waits", ".item()", "nets.py:22", "2"]]] * 2]


def test_the_step_is_the_recipes_unless_the_section_says_otherwise(project: Project) -> None:
    project.write("nets.py", NETS)
    training = "training: {dataset: digits, batch_size: 16, optimizer: Adam, precision: bf16}\n"
    path = project.spec("net", f"{HEAD}cost: {{}}\n{training}")
    project.run("-k", "cost", "--archcheck-update=new").assert_outcomes(passed=1)
    step = json.loads(lock_of(path).read_text())["cost"]["step"]
    assert step == "training on [16, 3, 8, 8] by Adam and CrossEntropyLoss in bf16"


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ("{optimizer: Adan, memory: 1 KiB}", "optimizer: torch.optim has no 'Adan': did you mean 'Adam'?"),
        ("{optimizer: {name: SGD, lrr: 1}, memory: 1 KiB}", "lrr"),
        ("{memory: 1.5}", "memory: expected an amount of memory such as 1.92 GiB, 500 MB or 416_520, found 1.5"),
        ("{syncs: -1}", "syncs: expected a whole number of at least 0, found -1"),
        ("{memory: {weights: 1 KiB}}", "unknown key 'weights'"),
    ],
)
def test_what_cannot_be_measured_is_told_at_its_line(project: Project, cost: str, message: str) -> None:
    project.write("nets.py", NETS)
    project.spec("net", f"{HEAD}cost: {cost}\n")
    result = project.run()
    assert re.search(rf"^{PATH}:4: .*{re.escape(message)}", result.stdout.str(), re.M)
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("options", [[], ["--archcheck-update=new"]])
@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("Adamm", "torch.optim has no 'Adamm': did you mean 'Adam'?"),
        ("{name: Adam, forech: true}", "torch.optim.Adam accepts no argument 'forech': did you mean 'foreach'?"),
    ],
)
def test_a_wrong_optimizer_is_told_before_anything_is_recorded(
    project: Project, optimizer: str, message: str, options: list[str]
) -> None:
    project.write("nets.py", NETS)
    path = project.spec("net", f"{HEAD}cost:\n  optimizer: {optimizer}\n")
    before = path.read_text()
    result = project.run("-k", "cost", *options)
    result.assert_outcomes(failed=1)
    assert f"{PATH}:5: optimizer: {message}" in result.stdout.str()
    assert "nothing is recorded" not in result.stdout.str()
    assert path.read_text() == before


def test_an_update_tells_why_nothing_can_be_recorded(project: Project) -> None:
    project.write("nets.py", NETS)
    project.spec("net", "build: nets:Several\ninput: [B, 4]\nfunction: off\nhealth: off\ncost: {batch_size: 2}\n")
    result = project.run("-k", "cost", "--archcheck-update=new")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{PATH}:1: build: the network returns *, expected a tensor to train on"])


def test_a_network_that_returns_no_tensor_has_no_step(project: Project) -> None:
    project.write("nets.py", NETS)
    project.spec("net", "build: nets:Several\ninput: [B, 4]\nfunction: off\nhealth: off\ncost: {memory: 1 KiB}\n")
    result = project.run("-k", "cost")
    result.stdout.fnmatch_lines([f"{PATH}:1: build: the network returns *, expected a tensor to train on"])


def test_new_records_a_cost_that_holds(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("nets.py", NETS)
    assert main(["new", "nets:net", "--cost", "--input", "B,3,8,8", "--output", PATH]) == 0
    text = (project.path / PATH).read_text()
    assert re.search(r"^cost: \{memory: \S+ KiB, traffic: \S+ KiB, operations: \d+, syncs: 0\}$", text, re.M)
    assert {"function", "cost"} <= json.loads((project.path / "specs/net.arch.lock").read_text()).keys()
    project.run().assert_outcomes(passed=7)


def test_new_records_two_examples_where_one_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("nets.py", f"{NETS}\ndef rows():\n    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))\n")
    assert main(["new", "nets:rows", "--cost", "--input", "B,4", "--output", PATH]) == 0
    told = capsys.readouterr()
    assert "cost: of two examples, as one is refused: " in told.out + told.err
    assert "Expected more than 1 value per channel" in told.out + told.err
    text = (project.path / PATH).read_text()
    assert re.search(
        r"^cost: \{batch_size: 2, memory: \S+ (KiB|B), traffic: \S+ (KiB|B), operations: \d+, syncs: 0\}$", text, re.M
    )
    project.run("-k", "cost").assert_outcomes(passed=1)


def test_show_has_columns_and_totals(project: Project, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(recorded), "--cost", "--on", "H200"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}", lines[0])[-3:] == ["memory", "traffic", "operations"]
    assert re.search(r"^step +training on \[4, 3, 8, 8\] by SGD", "\n".join(lines), re.M)
    assert re.match(r"least time  \S+ ms on NVIDIA H200, compute-bound \(", lines[-1])


def test_an_unknown_device_is_told_with_the_known_ones(
    project: Project, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(recorded), "--cost", "--on", "H300"]) == 2
    error = capsys.readouterr().err
    assert "--on: no peaks are known of 'H300'" in error
    assert "known are NVIDIA H200, " in error
    assert main(["show", str(recorded), "--on", "H200"]) == 2
    assert "give both" in capsys.readouterr().err


def test_diff_tells_which_layers_cost_more(
    project: Project, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", PATH, "nets:net", "--cost"]) == 0
    assert "no difference in cost" in capsys.readouterr().out
    assert main(["diff", PATH, "nets:net", "--args", '{"bug": "copy"}', "--cost"]) == 1
    out = capsys.readouterr().out
    assert "cost of training on [4, 3, 8, 8] by SGD and the mean square of the outputs:" in out
    assert re.search(r"^2 +- +\+16.00 KiB +\+1 +nets.py:15 +copy \(clone\)$", out, re.M)


def test_another_release_of_torch_is_told_with_a_difference(project: Project, recorded: Path) -> None:
    lock = lock_of(recorded)
    lock.write_text(re.sub(r'"torch": "[^"]*"', '"torch": "1.13.1"', lock.read_text()))
    project.run("-k", "cost").assert_outcomes(passed=1)
    with_bug(recorded, "copy")
    result = project.run("-k", "cost")
    result.stdout.fnmatch_lines(["  note      recorded with torch 1.13.1, this is *: it may do the same by other *"])
