"""The item `function`: recorded by the tool, verified, updated; and what can't be recorded."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

import archcheck
from archcheck.cli.command_line import main
from archcheck.recording.lock_writer import format_lock
from tests.integration.project import Project, lock_of

BLOCKS = """
import numpy
import random
import torch
from collections import OrderedDict
from torch import nn
from torch.nn import functional as F

class Block(nn.Module):
    def __init__(self, width, act=nn.ReLU, momentum=0.1, zero=False, rate=0.1):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, momentum=momentum)
        self.act = act()
        self.drop = nn.Dropout(rate)
        if zero:
            nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return x + self.drop(self.act(self.norm(self.conv(x))))

class Net(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.body = Block(8, **options)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))

def net():
    return Net()

class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(8, 5)
        self.bn = nn.BatchNorm2d(8)
        self.kernel = nn.Parameter(torch.empty(8, 8, 3, 3))
        nn.init.kaiming_uniform_(self.kernel, 5 ** 0.5)  # as a convolution draws it
        self.first = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        y = F.dropout(F.relu(self.bn(F.conv2d(x, self.kernel, padding=1))), 0.1, self.training)
        return self.classifier((x + y).flatten(2).mean(-1))
"""
DEFECTS = {
    "act": ("act=nn.ReLU", "act=nn.ReLU6", "body.act: the output differs"),
    "activation": ("act=nn.ReLU", "act=nn.GELU", "body.act: the output differs"),
    "skip": ("return x + self", "return self", "body: the output differs"),
    "momentum": ("momentum=0.1", "momentum=0.01", "body.norm: its buffers after a step in train mode differ"),
    "zero": ("zero=False", "zero=True", "body.norm: its parameters start from other constants"),
    "rate": ("rate=0.1", "rate=0.2", "body.drop: the output in train mode differs"),
    "pool": (".mean((2, 3))", ".amax((2, 3))", "head: the output differs"),
    "detach": ("self.body(self.stem(x))", "self.body(self.stem(x).detach())", "stem: the gradients of its parameters"),
}
PATH = "specs/net.arch.yaml"
LOCK = "specs/net.arch.lock"


def recorded(project: Project, build: str = "nets:net", source: str = BLOCKS, shape: str = "B,3,8,8") -> Path:
    """Write specs/net.arch.yaml as `archcheck new` does."""
    project.write("nets.py", source)
    assert main(["new", build, "--input", shape, "--output", PATH]) == 0
    return project.path / PATH


def change(project: Project, old: str, new: str) -> None:
    """Change the network. It moves to another module, as a process imports a module once."""
    assert BLOCKS.count(old) == 1
    project.write("changed.py", BLOCKS.replace(old, new))
    path = project.path / PATH
    path.write_text(path.read_text().replace("build: nets:net", "build: changed:net"))


def place_of(project: Project, layer: str) -> str:
    """Return the file and line of a layer: the spec's row of it, or else the lock's."""
    for name, start in ((PATH, f"  {layer}: "), (LOCK, f'      "{layer}": ')):
        lines = (project.path / name).read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if line.startswith(start):
                return f"{name}:{number}"
    raise AssertionError(layer)


def test_what_new_records_is_verified(project: Project) -> None:
    path = recorded(project)
    assert "function" not in path.read_text()
    assert '\n  "function": {\n    "at": {"B": ' in lock_of(path).read_text()
    result = project.run("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"{PATH}::function PASSED*"])


def test_what_is_recorded_is_the_same_every_time(project: Project) -> None:
    first = lock_of(recorded(project)).read_text()
    assert main(["new", "nets:net", "--input", "B,3,8,8", "--output", PATH, "--force"]) == 0
    assert (project.path / LOCK).read_text() == first


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_fails_at_the_line_of_the_layer(project: Project, name: str) -> None:
    old, new, message = DEFECTS[name]
    recorded(project)
    change(project, old, new)
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{place_of(project, message.split(':')[0])}: {message}*"])
    result.stdout.fnmatch_lines([f"FAILED {PATH}::function - {message}*"])


def test_the_message_says_what_was_expected_what_differs_and_how_to_accept_it(project: Project) -> None:
    recorded(project)
    change(project, "act=nn.ReLU", "act=nn.ReLU6")
    result = project.run("-k", "function")
    result.stdout.fnmatch_lines(
        [
            "specs/net.arch.yaml:*: body.act: the output differs",
            "  expected  mean *, rms *, check *",
            "  actual    mean *, rms *, check *",
            "  module    ReLU6()",
            "  differs   in the network as a whole: output, large values*",
            "  accept    pytest --archcheck specs/net.arch.yaml -k function --archcheck-update",
        ]
    )


def test_a_rewrite_is_green(project: Project) -> None:
    recorded(project)
    path = project.path / PATH
    path.write_text(path.read_text().replace("nets:net", "nets:Renamed"))
    result = project.run("-v", "-k", "function")
    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_an_update_rewrites_the_function_and_nothing_else(project: Project) -> None:
    path = recorded(project)
    change(project, "act=nn.ReLU", "act=nn.ReLU6")
    before, lock = path.read_text(), json.loads(lock_of(path).read_text())
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    assert path.read_text() == before
    after = json.loads(lock_of(path).read_text())
    assert after["function"].keys() == lock["function"].keys()
    assert after["function"]["layers"].keys() == lock["function"]["layers"].keys()
    assert after["function"] != lock["function"]
    assert after["build"] == "changed:net"
    project.run("-k", "function").assert_outcomes(passed=1)


def test_an_update_changes_the_lines_of_the_layers_that_differ(project: Project) -> None:
    path = recorded(project)
    change(project, "act=nn.ReLU", "act=nn.ReLU6")
    before = lock_of(path).read_text()
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    lines = zip(before.splitlines(), lock_of(path).read_text().splitlines(), strict=True)
    changed = [old for old, new in lines if old != new and '"build"' not in old]
    assert changed
    assert all('"large": ' in line for line in changed)
    assert not any(line.startswith('      "stem"') for line in changed)


def test_an_update_of_what_holds_changes_nothing(project: Project) -> None:
    path = recorded(project)
    lock = lock_of(path)
    lock.write_text(lock.read_text().replace('"archcheck": "', '"archcheck": "0.0.'))  # by another version
    before = path.read_text(), lock.read_text()
    assert project.run("--archcheck-update=all").ret == 0
    assert (path.read_text(), lock.read_text()) == before


@pytest.mark.parametrize("update", ["new", "all"])
def test_an_update_adds_an_absent_function(project: Project, update: str) -> None:
    path = recorded(project)
    whole, spec = lock_of(path).read_text(), path.read_text()
    lock_of(path).unlink()
    project.run("-k", "function", f"--archcheck-update={update}").assert_outcomes(passed=1)
    assert lock_of(path).read_text() == whole
    assert path.read_text() == spec


def test_a_function_that_is_off_is_not_added(project: Project) -> None:
    path = recorded(project)
    text = path.read_text() + "function: off\n"
    path.write_text(text)
    lock_of(path).unlink()
    result = project.run("-v", "--archcheck-update=all")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*::function*")
    assert path.read_text() == text
    assert not lock_of(path).exists()


CHANCE = """
from torch import nn
import numpy, random

class Chance(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 + {draw})

def net():
    return Chance(8, 4)
"""


@pytest.mark.parametrize("draw", ["random.random()", "numpy.random.rand()", "numpy.random.default_rng().random()"])
def test_chance_that_is_not_torchs_is_told_of_and_not_recorded(
    project: Project, capsys: pytest.CaptureFixture[str], draw: str
) -> None:
    path = recorded(project, source=CHANCE.format(draw=draw), shape="B,8")
    assert (
        "archcheck: nets:net: no function is recorded: two runs under the same weights differ, first at output: "
        "something is left to chance there"
    ) in capsys.readouterr().err
    assert "\nfunction: off  # no function is recorded: " in path.read_text()
    assert not lock_of(path).exists()
    assert project.run("--archcheck-strict", "-k", "not health").ret == 0


def test_a_quantized_network_is_told_of_and_not_recorded(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    source = """
    import torch
    from torch import nn
    def net(): return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)))
    """
    path = recorded(project, source=source, shape="B,8")
    assert (
        "archcheck: nets:net: no function is recorded: 0._packed_params keeps its weights in _packed_params, "
        "which can't be filled"
    ) in capsys.readouterr().err
    assert "\nfunction: off  # no function is recorded: " in path.read_text()
    assert not lock_of(path).exists()
    assert project.run("--archcheck-strict", "-k", "not health").ret == 0


def test_a_network_that_only_runs_in_eval_mode_is_recorded_without_train_mode(project: Project) -> None:
    source = """
    from torch import nn
    class Net(nn.Linear):
        def forward(self, x):
            if self.training:
                raise NotImplementedError("inference only")
            return super().forward(x)
    def net(): return Net(8, 4)
    """
    path = recorded(project, source=source, shape="B,8")
    assert '\n    "train": false,\n' in lock_of(path).read_text()
    project.run("-k", "function").assert_outcomes(passed=1)


def test_a_network_that_no_longer_runs_in_train_mode_fails(project: Project) -> None:
    recorded(project)
    change(project, "        return x + self", TRAINED)
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"{place_of(project, 'body')}: body: stopped in train mode",
            "  actual    body: NotImplementedError: inference only (changed.py:21)",
        ]
    )


TRAINED = """\
        if self.training:
            raise NotImplementedError("inference only")
        return x + self"""


LINEAR = """
from torch import nn

class Net(nn.Linear):
    def forward(self, x):
        return super().forward(x)

def net():
    return Net(8, 4)
"""


def recorded_before_nan(project: Project) -> Path:
    """Write a recorded network whose output is NaN by now. It is small, as the cause is searched for in vain."""
    path = recorded(project, source=LINEAR, shape="B,8")
    project.write("changed.py", LINEAR.replace("forward(x)\n\n", "forward(x).sub(100).log()\n\n"))
    path.write_text(path.read_text().replace("build: nets:net", "build: changed:net"))
    return path


def test_a_nan_in_the_output_fails(project: Project) -> None:
    recorded_before_nan(project)
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{PATH}:*: output: the output differs", "  actual    mean nan, rms nan, check nan"])


def test_a_nan_is_not_accepted(project: Project) -> None:
    path = recorded_before_nan(project)
    before = lock_of(path).read_text()
    project.run("-k", "function", "--archcheck-update").assert_outcomes(failed=1)
    assert lock_of(path).read_text() == before


def starved(project: Project) -> Path:
    """Record a network, and give it 160,000 more parameters than the 1 MiB that the spec grants hold."""
    path = recorded(project)
    path.write_text(path.read_text() + "function: {budget: {memory: 1 MiB}}\n")
    change(project, "        self.head = nn.L", "        self.more = nn.Linear(400, 400)\n        self.head = nn.L")
    return path


def test_what_needs_more_than_its_budget_is_skipped_with_the_reason(project: Project) -> None:
    starved(project)
    result = project.run("-k", "function", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * the function needs about *, more than its budget of *; grant it: function: {budget: *"]
    )


def test_strict_makes_what_is_not_measured_fail(project: Project) -> None:
    starved(project)
    result = project.run("-k", "function", "--archcheck-strict")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the function needs about *, more than its budget of *"])


FAULTS = [
    ("{trian: false}", r"unknown key 'trian'; did you mean train\?"),
    ("{input: [B, 3, 4, 4]}", r"expected at: {B: 2}, a size of B"),
    ("{at: {B: 2, N: 2}}", r"unknown dimension 'N'"),
    ("{at: {B: four}}", r"B: expected a whole number, found 'four"),
    ("{precision: half}", r"precision: expected 'float64' or 'float32', found 'half'"),
    ("{train: perhaps}", r"train: expected "),
    ("{budget: {memory: lots}}", r"memory: expected an amount of memory such as 2 GiB"),
]


@pytest.mark.parametrize(("section", "message"), FAULTS)
def test_a_mistake_in_the_section_is_a_failing_spec(project: Project, section: str, message: str) -> None:
    path = recorded(project)
    path.write_text(f"{path.read_text()}function: {section}\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    assert re.search(rf"^FAILED {PATH}::spec - (?!specs/).*{message}", result.stdout.str(), re.MULTILINE)


def test_a_live_model_is_held_against_the_spec(project: Project) -> None:
    path = recorded(project)
    nets = runpy.run_path("nets.py")
    assert archcheck.verify(path, nets["net"]()).ok
    result = archcheck.verify(path, nets["Net"](rate=0.2))
    assert [f"{one.subject}: {one.problem}" for one in result.outcomes["function"]] == [
        "body.drop: the output in train mode differs"
    ]


def test_the_text_of_a_verification_has_the_layer_that_differs(project: Project) -> None:
    path = recorded(project)
    result = archcheck.verify(path, runpy.run_path("nets.py")["Net"](rate=0.2))
    message = "body.drop: the output in train mode differs"
    assert f"{project.path}/{place_of(project, 'body.drop')}: {message}" in str(result)
    assert message in result._repr_html_()


def test_what_could_not_be_measured_is_not_ok(project: Project) -> None:
    path = starved(project)
    result = archcheck.verify(path)
    assert not result.ok
    assert "function" not in result.outcomes
    assert "the function needs about" in result.unmeasured["function"]
    assert "function not measured (the function needs about" in str(result)


DRAWN = """
import random
import numpy
import torch
from torch import nn

def net(before=0):
    network = nn.Linear(16, 32)
    for _ in range(before):
        random.random(), numpy.random.rand()
    with torch.no_grad():
        network.weight.copy_(torch.tensor({draw}))
    return network
"""


@pytest.mark.parametrize(
    "draw",
    [
        "numpy.random.default_rng().normal(0, 0.05, (32, 16))",
        "numpy.random.normal(0, 0.05, (32, 16))",
        "[[random.gauss(0, 0.05) for _ in range(16)] for _ in range(32)]",
    ],
)
def test_what_others_than_torch_draw_is_no_constant(project: Project, draw: str) -> None:
    path = recorded(project, source=DRAWN.format(draw=draw), shape="B,16")
    for _ in range(3):
        project.run("-k", "function").assert_outcomes(passed=1)
    path.write_text(path.read_text().replace("\ninput", "\nargs: {before: 1}\ninput", 1))
    project.run("-k", "function").assert_outcomes(passed=1)
    project.write(
        "changed.py",
        DRAWN.format(draw=draw).replace("tensor(", "tensor(numpy.asarray(").replace("))\n", ")) * 3)\n", 1),
    )
    path.write_text(path.read_text().replace("build: nets:net", "build: changed:net"))
    result = project.run("-k", "function")
    result.stdout.fnmatch_lines([f"{LOCK}:*: weight: starts with another standard deviation"])


NOT_TRAINED = """
import random
import numpy
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, before=0):
        super().__init__()
        for _ in range(before):
            random.random(), numpy.random.rand()
        self.head = nn.Linear(32, 4)
        drawn = torch.tensor({draw}, dtype=torch.float32)
        {held}

    def forward(self, x):
        return self.head((x @ self.projection).{activation}())

net = Net
"""


@pytest.mark.parametrize("draw", ["numpy.random.randn(16, 32)", "[[random.gauss(0, 1) for _ in range(32)]] * 16"])
@pytest.mark.parametrize(
    "held",
    ["self.projection = nn.Parameter(drawn, requires_grad=False)", "self.register_buffer('projection', drawn)"],
)
def test_weights_that_others_draw_and_nobody_trains_are_no_chance(project: Project, draw: str, held: str) -> None:
    path = recorded(project, source=NOT_TRAINED.format(draw=draw, held=held, activation="relu"), shape="B,16")
    assert lock_of(path).exists()
    path.write_text(path.read_text().replace("\ninput", "\nargs: {before: 1}\ninput", 1))
    project.run("-k", "function or health").assert_outcomes(passed=2)
    project.write("changed.py", NOT_TRAINED.format(draw=draw, held=held, activation="tanh"))
    path.write_text(path.read_text().replace("build: nets:net", "build: changed:net"))
    project.run("-k", "function").assert_outcomes(failed=1)


FEATURES = """
import torch
from torch import nn

class Features(nn.Module):
    def __init__(self, sigma=10.0):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(4, 48){scale})
        self.head = nn.Linear(96, 3)

    def forward(self, x):
        x = x @ self.frequencies
        return self.head(torch.cat([x.sin(), x.cos()], -1))
"""


def moved(project: Project, path: Path, scale: str) -> None:
    """Change how the buffer is drawn, in a module of another name: a process imports a module once."""
    name = f"changed{len(list(project.path.glob('*.py')))}"
    project.write(f"{name}.py", FEATURES.format(scale=scale))
    path.write_text(re.sub("build: .*", f"build: {name}:Features", path.read_text()))


def test_a_drawn_buffer_that_lost_its_scale_fails_and_an_update_accepts_it(project: Project) -> None:
    path = recorded(project, "nets:Features", FEATURES.format(scale=" * sigma"), "B,4")
    project.run("-k", "function").assert_outcomes(passed=1)
    moved(project, path, " * (sigma + 0 * torch.rand(1))")  # which draws another number
    project.run("-k", "function").assert_outcomes(passed=1)
    moved(project, path, "")
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"{LOCK}:*: frequencies: starts with another standard deviation",
            "  expected  mean *, standard deviation 9.*, largest * of these",
            "  actual    mean *, standard deviation 0.9*, largest * of these",
            "  note      the standard deviation is 0.* times as large",
            f"  accept    pytest --archcheck {PATH} -k function --archcheck-update",
        ]
    )
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    assert 0.8 < json.loads(lock_of(path).read_text())["initial"]["frequencies"]["std"] < 1.2
    project.run("-k", "function").assert_outcomes(passed=1)


def test_a_lock_from_before_buffers_were_held_passes_and_gets_them_with_an_update(project: Project) -> None:
    path = recorded(project, "nets:Features", FEATURES.format(scale=" * sigma"), "B,4")
    lock = json.loads((project.path / LOCK).read_text())
    del lock["initial"]["frequencies"]
    (project.path / LOCK).write_text(json.dumps(lock))
    result = project.run("-k", "function")
    result.assert_outcomes(passed=1)
    assert "frequencies" not in result.stdout.str()
    moved(project, path, "")
    project.run("-k", "function").assert_outcomes(passed=1)  # as nothing is known of it
    project.write("other.py", FEATURES.format(scale=" * sigma").replace("x.cos()", "x.cos().relu()"))
    path.write_text(re.sub("build: .*", "build: other:Features", path.read_text()))
    project.run("-k", "function").assert_outcomes(failed=1)
    project.run("-k", "function", "--archcheck-update").assert_outcomes(passed=1)
    assert "frequencies" in json.loads(lock_of(path).read_text())["initial"]


NORM = """
from torch import nn

class Norm(nn.Module):
    def forward(self, x):
        return nn.functional.normalize(x{cast}, dim=-1).type_as(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.norm = Norm()
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))
"""


def test_a_lost_cast_fails_at_its_layer_and_an_update_accepts_it(project: Project) -> None:
    path = recorded(project, "nets:Net", NORM.format(cast=".float()"), "B,8")
    assert json.loads(lock_of(path).read_text())["function"]["dtypes"] == {"norm": {"float32": 1}}
    project.run("-k", "function").assert_outcomes(passed=1)
    project.write("other.py", NORM.format(cast=""))
    path.write_text(re.sub("build: .*", "build: other:Net", path.read_text()))
    result = project.run("-k", "function")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"{PATH}:6: norm: names other dtypes",
            "  expected  float32",
            "  actual    none",
            "  module    Norm()",
            "  cause     a cast to float32 is gone",
            f"  accept    pytest --archcheck {PATH} -k function --archcheck-update",
        ],
        consecutive=True,
    )
    result = project.run("-k", "function", "--archcheck-update")
    result.stdout.fnmatch_lines([f"{LOCK}: recorded anew: which dtypes its code names"])
    assert json.loads(lock_of(path).read_text())["function"]["dtypes"] == {}
    project.run("-k", "function").assert_outcomes(passed=1)


def test_a_lock_from_before_dtypes_were_recorded_passes_says_so_and_gets_them(project: Project) -> None:
    path = recorded(project, "nets:Net", NORM.format(cast=".float()"), "B,8")
    whole = lock_of(path).read_text()
    lock = json.loads(whole)
    del lock["function"]["dtypes"]
    lock_of(path).write_text(format_lock(lock))
    result = project.run("-k", "function")
    result.assert_outcomes(passed=1)
    told = f"*which dtypes its code names isn't recorded: pytest --archcheck {PATH} -k function --archcheck-update=new"
    result.stdout.fnmatch_lines([told])
    project.run("-k", "function", "--archcheck-update=new").assert_outcomes(passed=1)
    assert lock_of(path).read_text() == whole
    assert "isn't recorded" not in project.run("-k", "function").stdout.str()


OUTLIER = """
import torch
from torch import nn

def net(far=False):
    network = nn.Linear(32, 48)
    if {when}:
        with torch.no_grad():
            network.weight[0, 0] = 16.0
    return network
"""


@pytest.mark.parametrize(("when", "failed"), [("torch.initial_seed() == 0", 0), ("True", 1)])
def test_one_number_far_out_fails_where_it_is_in_each_build(project: Project, when: str, failed: int) -> None:
    """`clamp(erfinv(uniform))`, as samplers of truncated normal numbers have it, gives one once in 2**24 numbers."""
    path = recorded(project, source=OUTLIER.format(when="far"), shape="B,32")
    name = f"far{failed}"
    project.write(f"{name}.py", OUTLIER.format(when=when))
    path.write_text(re.sub("build: .*", f"build: {name}:net", path.read_text()))
    project.run("-k", "function").assert_outcomes(failed=failed, passed=1 - failed)


PADDED = """
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self, pad=0, drawn=False, init=0.0):
        super().__init__()
        self.words = nn.Embedding(5, 4, padding_idx=pad)
        self.head = nn.Linear(4, 3)
        if drawn:
            nn.init.normal_(self.words.weight)
        if init:
            nn.init.constant_(self.head.bias, init)

    def forward(self, x):
        return self.head(self.words(x).mean(1))
"""


@pytest.mark.parametrize("drawn", ["false", "true"])
@pytest.mark.parametrize(
    ("before", "now", "cause"),
    [
        ("0", "null", "padding_idx=None now, 0 was recorded"),
        ("null", "0", "padding_idx=0 now, None was recorded"),
        ("4", "1", "padding_idx=1 now, 4 was recorded"),
        ("0, init: 1.0", "0", None),
    ],
)
def test_an_embedding_with_another_padding_is_told_as_such(
    project: Project, before: str, now: str, cause: str | None, drawn: str
) -> None:
    project.write("padded.py", PADDED)
    text = "build: ../padded.py:Words\nargs: {drawn: DRAWN, pad: PAD}\ninput: {x: {shape: [B, 9], below: 5}}\n"
    path = project.spec("net", text.replace("DRAWN", drawn).replace("PAD", before))
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    path.write_text(path.read_text().replace(f"pad: {before}}}", f"pad: {now}}}"))
    told = [line.split(None, 1)[1] for line in project.run("-k", "function").outlines if line.startswith("  cause")]
    assert told == ([cause] if cause else [])


UNCALLED = """
import torch
from torch import nn

class Held(nn.Module):
    def __init__(self, value, step):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([1.0, value, 3.0]))
        self.register_buffer("mean", torch.zeros(3))
        self.step = step

class Net(nn.Module):
    def __init__(self, value=2.0, step=0.5, more=False):
        super().__init__()
        self.stem = nn.Linear(4, 3)
        self.held = Held(value, step)
        self.head = nn.Linear(3, 2)
        if more:
            self.other = Held(1.0, 1.0)
            self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        x = self.stem(x) * self.held.value
        if hasattr(self, "other"):
            x = x * self.other.value + self.shift
        if self.training:
            with torch.no_grad():
                self.held.mean.lerp_(x.mean(0).to(self.held.mean), self.held.step)
        return self.head(x)
"""


@pytest.mark.parametrize(
    ("before", "now", "headline", "where"),
    [
        ("value: 2.0", "value: 2.5", "held: its parameters start from other constants", []),
        ("step: 0.5", "step: 0.25", "held: its buffers after a step in train mode differ", []),
        (
            "more: true, value: 2.0", "more: true, value: 2.5", "output: its parameters start from other constants",
            ["  where     in none of the recorded layers: the network's own, held, other"],
        ),
    ],
)  # fmt: skip
def test_a_module_that_nothing_calls_is_named(
    project: Project, before: str, now: str, headline: str, where: list[str]
) -> None:
    project.write("uncalled.py", UNCALLED)
    path = project.spec("net", f"build: ../uncalled.py:Net\nargs: {{{before}}}\ninput: [B, 4]\n")
    assert project.run("--archcheck-update=new", "-k", "function").ret == 0
    path.write_text(path.read_text().replace(before, now))
    told = project.run("-k", "function").outlines
    assert any(line.endswith(f": {headline}") and line.startswith("specs/net.arch.") for line in told)
    assert [line for line in told if line.startswith("  where")] == where
