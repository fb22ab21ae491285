"""Accuracy items: a spec's network is trained for real, and held against the minimum that the spec promises."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.integration.conftest import Project

# `Scripted` is right about the first share of the examples, another one in each epoch: what a run comes to is known by
# hand. Its inputs are the examples' positions, from 0 up to 1.
TOYS = """
import os, random, time
import torch
from torch import nn

class Scripted(nn.Module):
    def __init__(self, curve=(0.5,), scale=1.0, name="", sleep=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.curve, self.scale, self.epoch, self.sleep = list(curve), scale, 0, sleep
    def train(self, mode=True):
        self.epoch += mode
        return super().train(mode)
    def forward(self, x):
        time.sleep(self.sleep)
        right = x < self.curve[min(self.epoch, len(self.curve)) - 1] - 1e-6  # (B, 1)
        yes = torch.where(right, 1.0, -1.0)
        return torch.cat([-yes, yes], 1) * self.scale + self.weight * 0

def linear(features=2, classes=2):
    return nn.Linear(features, classes)

class Calls(nn.Module):
    '''A linear network whose forward calls something first, once it is on real data.'''
    def __init__(self, what="", features=1, classes=2, at_build=False):
        super().__init__()
        self.what, self.fc = what, nn.Linear(features, classes)
        if at_build:
            globals()[what](self)
    def forward(self, x):
        if self.what and x.device.type != "meta" and self.training:
            x = globals()[self.what](self, x)
        return self.fc(x)

def raises(net, x):
    raise KeyError("no such head")
def leaves(net, x):
    raise SystemExit(3)
def interrupted(net, x):
    raise KeyboardInterrupt
def no_memory(net, x):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
def too_large(net, x):
    return x + torch.empty(1 << 46).sum()
def meddles(net, x):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(1); random.seed(1)
    return x
def meddles_and_raises(net, x):
    meddles(net, x)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    raise ValueError("enough")
"""

SETS = """
import torch
from torch.utils.data import Dataset, TensorDataset

def positions(train=100, test=100):
    '''Inputs (n, 1) from 0 up to 1, all of class 1.'''
    return [TensorDataset(torch.arange(n).reshape(n, 1) / n, torch.ones(n, dtype=torch.int64)) for n in (train, test)]

def clouds(train=256, test=100, labels=0):
    '''Two clouds of points (n, 2), far apart.'''
    draw = torch.Generator().manual_seed(0)
    def part(n):
        classes = torch.arange(n) % 2
        return TensorDataset(torch.randn(n, 2, generator=draw) + 8.0 * classes[:, None] - 4, classes + labels)
    return part(train), part(test)

class Streamed(Dataset):
    def __init__(self, data): self.data = data
    def __len__(self): return len(self.data)
    def __getitem__(self, index):
        x, y = self.data[index]
        return x, int(y)

def streamed(labels=0):
    train, test = clouds(labels=labels)
    return Streamed(train), Streamed(test)

def line(slope=3.0):
    '''y = slope x + 1, exactly.'''
    def part(n):
        x = torch.linspace(-1, 1, n).reshape(n, 1)
        return TensorDataset(x, slope * x + 1)
    return part(200), part(50)

def empty():
    return TensorDataset(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)), clouds()[1]
"""

SCRIPTED = """\
build: toys:Scripted
args: {curve: CURVE}
input: [B, 1]
training:
  dataset: sets:positions
  optimizer: {name: SGD, lr: 0.1}
  batch_size: 50
  epochs: EPOCHS
  accuracy: LEAST
"""

CLOUDS = """\
build: toys:linear
input: [B, 2]
training:
  dataset: sets:clouds
  optimizer: {name: SGD, lr: 0.1}
  batch_size: 64
  epochs: 2
  accuracy: 0.97
"""

CURVE = re.compile(r"^ +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +", re.MULTILINE)


@pytest.fixture
def toys(project: Project) -> Project:
    project.write("toys.py", TOYS)
    project.write("sets.py", SETS)
    return project


def scripted(curve: list[float], least: float, epochs: int | None = None, more: str = "") -> str:
    text = SCRIPTED.replace("CURVE", str(curve)).replace("EPOCHS", str(epochs or len(curve)))
    return text.replace("LEAST", str(least)) + more


def accuracy(project: Project, text: str, *args: str) -> pytest.RunResult:
    """The accuracy item of a spec, run."""
    project.spec("toy", text)
    return project.run("-m", "archcheck_accuracy", *args)


def curves(result: pytest.RunResult) -> list[tuple[str, ...]]:
    """Epoch, loss, accuracy on both sets, as the run's output shows them."""
    return [match.groups() for match in CURVE.finditer(result.stdout.str())]


def failing_text(result: pytest.RunResult, check: str = "accuracy") -> str:
    """The first line of the message of `toy`'s only item, which fails; what follows it are notes and no traceback."""
    result.assert_outcomes(failed=1)
    output = result.stdout.str()
    assert "Traceback" not in output
    assert "archcheck/pytest_plugin" not in output
    (text,) = re.findall(rf"^_+ toy: {check} _+\n((?:[^=\n].*\n)+)", output, re.MULTILINE)
    line, *notes = str(text).splitlines()
    assert all(note.startswith("  ") for note in notes)
    return line


# ---------------------------------------------------------------------------------------------- verdicts


def test_a_network_that_learns_passes_and_is_in_the_table(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.5, 0.75], 0.7))
    result.assert_outcomes(passed=1)
    # The loss by hand: right examples have log(1 + exp(-2)) = 0.1269, wrong ones 2.1269; the last epoch's is 0.6269.
    result.stdout.fnmatch_lines(
        [
            "spec * recipe * device * precision * seed * epochs * loss * train * test * examples/s",
            "specs/toy.arch.yaml *quick *cpu *fp32 * 0 * 3 *0.6269 *0.750 *0.750 *",
        ]
    )


def test_one_that_misses_the_minimum_fails_with_its_curve(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.75, 0.5], 0.8))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "specs/toy.arch.yaml:9: accuracy: 0.500 after 3 epochs, 0.300 below the minimum",
            "  expected  at least 0.8",
            "  actual    0.5",
            "  recipe    quick, fp32 on cpu, * thread*",
            "  curve     *epoch * loss * train accuracy * test accuracy * examples/s",
            "  note      the best epoch was 2, with 0.750",
            "  again     --archcheck-train quick --archcheck-seed 0",
        ]
    )
    # 0.1269 + 2 * (the share that is wrong)
    assert curves(result) == [
        ("1", "1.6269", "0.250", "0.250"),
        ("2", "0.6269", "0.750", "0.750"),
        ("3", "1.1269", "0.500", "0.500"),
    ]


def test_a_hair_below_the_minimum_is_below_it(toys: Project) -> None:
    result = accuracy(toys, scripted([0.5], 0.5001))
    assert failing_text(result).endswith("accuracy: 0.500 after 1 epoch, 0.0001 below the minimum")
    accuracy(toys, scripted([0.5], 0.5)).assert_outcomes(passed=1)


def test_a_minimum_in_quick_is_pointed_at_there(toys: Project) -> None:
    text = scripted([0.5], 0.4, more="  quick:\n    epochs: 1\n    accuracy: 0.9\n")
    assert failing_text(accuracy(toys, text)).startswith("specs/toy.arch.yaml:12: accuracy: ")
    text = scripted([0.5], 0.9, more="  quick:\n    epochs: 1\n")
    assert failing_text(accuracy(toys, text)).startswith("specs/toy.arch.yaml:9: accuracy: ")


def test_junit_has_the_line_and_the_figures(toys: Project) -> None:
    accuracy(toys, scripted([0.5], 0.8), "--junitxml=out.xml", "-o", "junit_family=xunit1")
    (case,) = ET.parse(toys.path / "out.xml").getroot().iter("testcase")
    assert (case.attrib["file"], case.attrib["line"]) == ("specs/toy.arch.yaml", "8")  # counted from 0
    properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert float(properties.pop("archcheck_examples_per_sec")) > 0
    assert float(properties.pop("archcheck_first_step_sec")) > 0
    assert float(properties.pop("archcheck_loss")) == pytest.approx(1.126928, abs=1e-5)
    assert properties == {
        "archcheck_recipe": "quick", "archcheck_device": "cpu", "archcheck_precision": "fp32", "archcheck_seed": "0",
        "archcheck_epochs": "1", "archcheck_train_accuracy": "0.5", "archcheck_test_accuracy": "0.5",
    }  # fmt: skip


def test_two_workers_train_the_same(toys: Project) -> None:
    toys.spec("a", scripted([0.25, 0.75], 0.7))
    toys.spec("b", scripted([0.25, 0.5], 0.7))
    result = toys.run("-n", "2", "-m", "archcheck_accuracy")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["specs/a.arch.yaml  quick *0.750*0.750*", "specs/b.arch.yaml  quick *0.500*0.500*"])
    assert "epoch 1/2" not in result.stdout.str()


# ---------------------------------------------------------------------------------------------- options

KINDS = scripted([0.6], 0.5, more="  quick:\n    accuracy: 0.7\n")


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("auto", {"failed": 1}), ("quick", {"failed": 1}), ("full", {"passed": 1}), ("off", {"skipped": 1})],
)
def test_the_recipe_is_chosen_on_the_command_line(toys: Project, kind: str, outcome: dict[str, int]) -> None:
    arguments = ["--archcheck-train", kind, "--archcheck-device", "cpu"]
    accuracy(toys, KINDS, *arguments).assert_outcomes(**outcome)


def test_training_that_is_off_is_skipped_and_fails_where_strict(toys: Project) -> None:
    result = accuracy(toys, KINDS, "--archcheck-train=off", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] specs/toy.arch.yaml:4: training is off (--archcheck-train off)"])
    strict = accuracy(toys, KINDS, "--archcheck-train=off", "--archcheck-strict")
    assert failing_text(strict) == "specs/toy.arch.yaml:4: not measured: training is off (--archcheck-train off)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("kind", ["auto", "quick"])
def test_a_device_that_is_not_there_is_no_verdict(toys: Project, kind: str) -> None:
    arguments = ["--archcheck-device", "cuda", "--archcheck-train", kind]
    result = accuracy(toys, KINDS, *arguments, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED [[]1[]] specs/toy.arch.yaml:4: no device 'cuda': this machine has no CUDA device"]
    )
    accuracy(toys, KINDS, *arguments, "--archcheck-strict").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--archcheck-device", "gpu"], "expected a device: auto, cpu, cuda, cuda:N or mps, found 'gpu'"),
        (["--archcheck-seed", "-1"], "expected a seed from 0 to 4294967295, found -1"),
        (["--archcheck-data-budget", "much"], "expected an amount of memory such as 500 MB or 2 GiB, found 'much'"),
        (["--archcheck-data", "nowhere"], "--archcheck-data (or ARCHCHECK_DATA): there is no folder nowhere"),
        (["--archcheck-checkpoints", "toys.py"], "toys.py is no folder"),
        (["--archcheck-train", "half"], "argument --archcheck-train: invalid choice: 'half'"),
    ],
)
def test_an_option_without_meaning_is_a_usage_error(toys: Project, arguments: list[str], message: str) -> None:
    result = accuracy(toys, KINDS, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_without_the_flag_the_options_mean_nothing(toys: Project) -> None:
    toys.spec("toy", KINDS)
    toys.pytester.makepyfile("def test_one(): pass")
    toys.pytest("--archcheck-device", "gpu", "--archcheck-seed", "3").assert_outcomes(passed=1)


def test_a_seed_changes_the_run_and_is_told(toys: Project) -> None:
    text = CLOUDS.replace("0.97", "1.0").replace("lr: 0.1", "lr: 1.0e-9")  # where it starts is where it ends
    first, again, other = (accuracy(toys, text, "--archcheck-seed", seed) for seed in ("1", "1", "2"))
    assert curves(first) == curves(again) != curves(other)
    first.stdout.fnmatch_lines(["  again     --archcheck-train quick --archcheck-seed 1"])


def test_without_a_minimum_there_is_no_verdict(toys: Project) -> None:
    text = CLOUDS.replace("  accuracy: 0.97\n", "")
    result = accuracy(toys, text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]1[]] specs/toy.arch.yaml:3: the quick recipe has no `accuracy` to reach; "
            "archcheck calibrate specs/toy.arch.yaml measures one"
        ]
    )


def test_data_that_is_not_there_is_no_verdict(toys: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHCHECK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(toys.path / "cache"))
    text = CLOUDS.replace("sets:clouds", "cifar10").replace("[B, 2]", "[B, 3, 32, 32]")
    result = accuracy(toys, text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] specs/toy.arch.yaml:3: *cifar*--archcheck-download*"])


@pytest.mark.parametrize("how", ["option", "environment"])
def test_data_is_found_where_it_is_said_to_be(toys: Project, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    for split, label in [(split, label) for split in ("train", "test") for label in ("dark", "light")]:
        folder = toys.path / "lake" / "shades" / split / label
        folder.mkdir(parents=True)
        for number in range(4):
            pillow.new("L", (4, 4), 40 if label == "dark" else 200).save(folder / f"{number}.png")
    toys.write(
        "flat.py",
        "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * 16, 2))\n".replace(
            "CHANNELS", "3"
        ),
    )
    text = """\
build: flat:net
input: [B, 3, 4, 4]
training:
  dataset: {name: image-folder, path: shades}
  optimizer: {name: SGD, lr: 0.5}
  batch_size: 8
  epochs: 20
  accuracy: 1.0
"""
    arguments = ["--archcheck-data", "lake"] if how == "option" else []
    if how == "environment":
        monkeypatch.setenv("ARCHCHECK_DATA", "lake")
    accuracy(toys, text, *arguments).assert_outcomes(passed=1)


# ---------------------------------------------------------------------------------------------- early stop, budget


@pytest.mark.parametrize(
    ("curve", "least", "epochs"),
    [
        ([0.9, 0.9, 0.1], 0.8, 2),  # two in a row
        ([0.9, 0.5, 0.9, 0.8, 0.1], 0.8, 4),  # one may be luck
        ([0.5, 0.5, 0.9], 0.8, 3),  # the last one needs no other
    ],
)
def test_a_run_ends_when_the_minimum_is_confirmed(toys: Project, curve: list[float], least: float, epochs: int) -> None:
    result = accuracy(toys, scripted(curve, least), "--junitxml=out.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(passed=1)
    properties = {
        one.attrib["name"]: one.attrib["value"] for one in ET.parse(toys.path / "out.xml").getroot().iter("property")
    }
    assert properties["archcheck_epochs"] == str(epochs)


@pytest.mark.parametrize("curve", [[0.9, 0.9, 0.1], [0.5, 0.9, 0.1]])
def test_a_run_that_may_not_stop_early_is_judged_by_its_end(toys: Project, curve: list[float]) -> None:
    result = accuracy(toys, scripted(curve, 0.8, more="  stop_at_accuracy: false\n"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*:9: accuracy: 0.100 after 3 epochs, 0.700 below the minimum"])


def test_a_run_ends_with_its_time_budget(toys: Project) -> None:
    text = scripted([0.5], 0.8, epochs=1_000_000_000, more="  time_budget: 0.2 s\n").replace(
        "[0.5]}", "[0.5], sleep: 0.05}"
    )
    message = failing_text(accuracy(toys, text))
    assert re.fullmatch(
        r"specs/toy\.arch\.yaml:10: time_budget: the time budget of 0\.2 s is spent in epoch \d of 1000000000"
        r"(, accuracy 0\.500)?",
        message,
    )


def test_a_budget_in_quick_is_pointed_at_there(toys: Project) -> None:
    text = scripted([0.5], 0.8, epochs=100, more="  time_budget: 60\n  quick:\n    time_budget: 0.1 s\n").replace(
        "[0.5]}", "[0.5], sleep: 0.05}"
    )
    assert failing_text(accuracy(toys, text)).startswith(
        "specs/toy.arch.yaml:12: time_budget: the time budget of 0.1 s"
    )


# ---------------------------------------------------------------------------------------------- checkpoints


def test_the_best_network_is_kept_and_nothing_else(toys: Project) -> None:
    accuracy(toys, scripted([0.25, 0.75, 0.5], 0.8), "--archcheck-checkpoints", "kept").assert_outcomes(failed=1)
    assert [str(path.relative_to(toys.path)) for path in (toys.path / "kept").rglob("*")] == [
        "kept/toy", "kept/toy/model_0.75.pt",
    ]  # fmt: skip


def test_a_kept_network_answers_as_it_was_said_to(toys: Project) -> None:
    accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept").assert_outcomes(passed=1)
    (path,) = (toys.path / "kept" / "toy").iterdir()
    network = nn.Linear(2, 2)
    network.load_state_dict(torch.load(path, weights_only=True))
    far_apart = torch.tensor([[-4.0, -4.0], [4.0, 4.0]])
    assert path.name == "model_1.00.pt"
    assert network(far_apart).argmax(1).tolist() == [0, 1]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_checkpoints_that_cannot_be_written_fail_in_one_line(toys: Project) -> None:
    (toys.path / "kept").mkdir(mode=0o500)
    message = failing_text(accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept"))
    assert re.fullmatch(
        r"specs/toy.arch.yaml:3: .*kept/toy/model_\d.\d\d.pt: can't be written: Permission denied", message
    )


def test_a_file_where_the_folder_of_checkpoints_goes_is_told(toys: Project) -> None:
    toys.write("kept/toy", "a file\n")
    message = failing_text(accuracy(toys, CLOUDS, "--archcheck-checkpoints", "kept"))
    assert re.search(r"kept/toy/model_\d.\d\d.pt: can't be written: (File exists|Not a directory)", message)


def test_a_spec_of_any_name_keeps_its_networks_in_the_folder(toys: Project) -> None:
    text = f"name: ../../elsewhere\n{CLOUDS}"
    accuracy(toys, text, "--archcheck-checkpoints", "a/b/kept")
    assert [path.relative_to(toys.path).parts[:3] for path in toys.path.rglob("*.pt")] == [("a", "b", "kept")]


def test_specs_of_one_name_in_two_folders_keep_a_network_each(toys: Project) -> None:
    toys.spec("a/net", scripted([0.5], 0.1))
    toys.spec("b/net", scripted([0.75], 0.1))
    toys.run("-m", "archcheck_accuracy", "--archcheck-checkpoints", "kept").assert_outcomes(passed=2)
    kept = sorted((toys.path / "kept").rglob("*.pt"), key=lambda path: path.name)
    assert [path.name for path in kept] == ["model_0.50.pt", "model_0.75.pt"]
    assert kept[0].parent != kept[1].parent


# ---------------------------------------------------------------------------------------------- faults

FAULTS = [
    # The optimizer
    ("lr: 0.1", "lr: 1.0e+39", 5, "optimizer: the loss is (nan|inf) in epoch 1, step 2: a smaller .*"),
    ("lr: 0.1", "lr: -1.0", 5, "optimizer: SGD raised ValueError: Invalid learning rate: -1.0"),
    ("lr: 0.1", "lr: fast", 5, "optimizer: SGD raised TypeError: .*"),
    ("{name: SGD, lr: 0.1}", "{name: LBFGS, lr: -1.0}", 5, "optimizer: LBFGS raised ValueError: .*"),
    # The scheduler, at once and later
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: StepLR, step_size: no}\n", 8, "scheduler: StepLR.* raised .*"),
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: LambdaLR, lr_lambda: x}\n", 8,
     "scheduler: LambdaLR.* raised .*"),
    ("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: OneCycleLR, max_lr: 0.1, total_steps: 3}\n", 8,
     "scheduler: OneCycleLR.step\\(\\) raised ValueError: Tried to step 4 times. .* is 3"),
    # The data
    ("sets:clouds", "{name: sets:clouds, labels: 1}", 4,
     "dataset: label 2 is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "{name: sets:clouds, labels: -1}", 4,
     "dataset: label -1 is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "{name: sets:streamed, labels: 5}", 4,
     "dataset: label [56] is out of range: the network has 2 outputs, for labels 0 to 1"),
    ("sets:clouds", "sets:empty", 4, "dataset: sets:empty: train has no examples"),
    ("batch_size: 64", "batch_size: 300", 6, "batch_size: the data set has 256 examples, less than a batch of 300"),
    ("sets:clouds", "sets:positions", 4,
     r"dataset: the training's inputs are \[B, 1\], the spec's `input` is \[B, 2\]"),
    ("sets:clouds", "sets:cluods", 4, "dataset: .*did you mean 'clouds'.*"),
    ("sets:clouds", "fashion-mist", 4, "dataset: there is no data set 'fashion-mist': did you mean 'fashion-mnist'.*"),
    # The loss
    ("  epochs: 2\n", "  epochs: 2\n  loss: MSELoss\n", 8,
     "loss: the data set has classes, MSELoss is for float targets; CrossEntropyLoss is for classes"),
    ("  epochs: 2\n", "  epochs: 2\n  loss: {name: CrossEntropyLoss, reduction: none}\n", 8,
     r"loss: CrossEntropyLoss gives \(64,\), expected one number"),
    ("  epochs: 2\n", "  epochs: 2\n  loss: {name: CrossEntropyLoss, reduction: most}\n", 8,
     "loss: CrossEntropyLoss raised ValueError: most is not a valid value for reduction"),
    ("  epochs: 2\n", "  epochs: 2\n  init: {name: kaiming_normal, mode: fan_up}\n", 8,
     "init: .* raised ValueError: .*"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), FAULTS)
def test_what_goes_wrong_is_one_line_at_its_line(toys: Project, old: str, new: str, line: int, message: str) -> None:
    assert CLOUDS.count(old) == 1
    found = failing_text(accuracy(toys, CLOUDS.replace(old, new)))
    assert re.fullmatch(rf"specs/toy\.arch\.yaml:{line}: {message}", found), found


CALLS = CLOUDS.replace("toys:linear\n", "toys:Calls\nargs: {what: WHAT, features: 2}\n")

FORWARDS = [
    ("raises", 1, r"build: the forward pass raised KeyError: 'no such head' \(toys\.py:36\)"),
    ("leaves", 1, r"build: the forward pass raised SystemExit: 3 \(toys\.py:38\)"),
    ("no_memory", 7, "batch_size: the forward pass: out of memory; a smaller batch_size or resize needs less"),
    ("too_large", 7, "batch_size: the forward pass: out of memory; a smaller batch_size or resize needs less"),
    ("meddles_and_raises", 1, r"build: the forward pass raised ValueError: enough \(toys\.py:\d+\)"),
]


@pytest.mark.parametrize(("what", "line", "message"), FORWARDS)
def test_a_forward_that_raises_is_one_line_and_names_the_users_own(
    toys: Project, what: str, line: int, message: str
) -> None:
    found = failing_text(accuracy(toys, CALLS.replace("WHAT", what)))
    assert re.fullmatch(rf"specs/toy\.arch\.yaml:{line}: {message}", found), found


def test_the_loss_that_explodes_is_told_with_both_its_values(toys: Project) -> None:
    text = (
        CLOUDS.replace("lr: 0.1", "lr: 1.0e+6")
        .replace("toys:linear", "toys:linear")
        .replace("batch_size: 64", "batch_size: 2")
    )
    text = text.replace("  epochs: 2\n", "  epochs: 2\n  loss: MSELoss\n").replace("sets:clouds", "sets:line")
    text = text.replace("[B, 2]", "[B, 1]").replace("toys:linear\n", "toys:linear\nargs: {features: 1, classes: 1}\n")
    found = failing_text(accuracy(toys, text))
    assert re.fullmatch(
        r"specs/toy\.arch\.yaml:6: optimizer: the loss has exploded, from [\d.e+-]+ to [\d.e+-]+ in epoch 1, step \d: "
        r"a smaller learning rate, clip_grad_norm or another init may keep it in bounds",
        found,
    ), found


def test_a_network_of_the_wrong_number_of_classes_is_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "fashion-mnist-mini").replace("[B, 2]", "[B, 1, 28, 28]")
    toys.write(
        "flat.py", "from torch import nn\ndef net(n=10): return nn.Sequential(nn.Flatten(), nn.Linear(784, n))\n"
    )
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net\nargs: {n: 9}")))
    assert found == "specs/toy.arch.yaml:2: args: the network has 9 outputs, the data set 10 classes"
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net\nargs: {n: 11}")))
    assert found == "specs/toy.arch.yaml:2: args: the network has 11 outputs, the data set 10 classes"


def test_inputs_resized_to_another_size_than_the_specs_are_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "fashion-mnist-mini\n  resize: [28, 32]").replace("[B, 2]", "[B, 1, 28, 28]")
    toys.write("flat.py", "from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))\n")
    found = failing_text(accuracy(toys, text.replace("toys:linear", "flat:net")))
    assert found == (
        "specs/toy.arch.yaml:5: resize: the training's inputs are [B, 1, 28, 32], the spec's `input` is [B, 1, 28, 28]"
    )


def test_outputs_and_targets_of_two_shapes_are_told(toys: Project) -> None:
    text = CLOUDS.replace("sets:clouds", "sets:line\n  loss: MSELoss").replace("[B, 2]", "[B, 1]")
    found = failing_text(accuracy(toys, text.replace("toys:linear", "toys:linear\nargs: {features: 1}")))
    assert found == (
        "specs/toy.arch.yaml:5: dataset: the network returns [50, 2], the data set's targets are [50, 1]: "
        "expected the same"
    )


def test_a_network_without_parameters_is_told(toys: Project) -> None:
    toys.write("bare.py", "from torch import nn\ndef net(): return nn.Identity()\n")
    found = failing_text(accuracy(toys, CLOUDS.replace("toys:linear", "bare:net")))
    assert found == "specs/toy.arch.yaml:1: build: the network has no trainable parameter"


def test_a_network_that_is_all_frozen_is_told(toys: Project) -> None:
    toys.write("bare.py", "from torch import nn\ndef net(): return nn.Linear(2, 2).requires_grad_(False)\n")
    found = failing_text(accuracy(toys, CLOUDS.replace("toys:linear", "bare:net")))
    assert found == "specs/toy.arch.yaml:1: build: the network has no trainable parameter"


def test_a_network_that_quick_arguments_do_not_build_is_told_there(toys: Project) -> None:
    found = failing_text(accuracy(toys, CLOUDS + "  quick:\n    args: {classes: -1}\n"))
    assert re.search(
        r": building toys:linear raised RuntimeError: Trying to create tensor with negative dimension", found
    )
    found = failing_text(accuracy(toys, CLOUDS + "  quick:\n    args: {clases: 2}\n"))
    assert re.match(
        r"specs/toy\.arch\.yaml:10: build: toys:linear accepts no argument 'clases': did you mean 'classes'\?", found
    )


def test_a_network_that_cannot_be_built_says_so_in_every_item(toys: Project) -> None:
    toys.spec("toy", CLOUDS.replace("toys:linear", "nets:raising"))
    result = toys.run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["FAILED specs/toy.arch.yaml::accuracy - specs/toy.arch.yaml:1: *no such width*"])


def test_a_run_that_dies_leaves_the_others_alone(toys: Project) -> None:
    toys.spec("a", CALLS.replace("WHAT", "meddles_and_raises"))
    toys.spec("b", CLOUDS)
    toys.spec("c", CLOUDS.replace("sets:clouds", "sets:empty"))
    toys.spec("d", "build: [\n")
    toys.spec("e", CLOUDS)
    result = toys.run()
    result.assert_outcomes(passed=10, failed=3)
    result.stdout.fnmatch_lines([f"specs/{name}.arch.yaml * ok *ok *ok *" for name in "be"])


def test_a_fault_keeps_the_curve_so_far(toys: Project) -> None:
    text = scripted([0.25, 0.5], 0.9, epochs=3)
    text = text.replace("epochs: 3\n", "epochs: 3\n  scheduler: {name: OneCycleLR, max_lr: 0.1, total_steps: 5}\n")
    result = accuracy(toys, text)
    result.assert_outcomes(failed=1)
    assert curves(result) == [("1", "1.6269", "0.250", "0.250"), ("2", "1.1269", "0.500", "0.500")]


def test_an_interrupt_ends_cleanly_with_the_results_so_far(toys: Project) -> None:
    toys.spec("a", scripted([0.25], 0.2))
    toys.spec("b", CALLS.replace("WHAT", "interrupted"))
    toys.spec("c", CLOUDS)
    # In a process of its own: an interrupt inside this one would be taken for the user's.
    result = toys.pytester.runpytest_subprocess(
        "-p", "archcheck.plugin", "--archcheck", "-m", "archcheck_accuracy", "--archcheck-checkpoints", "kept"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["specs/a.arch.yaml  quick *0.250*", "*KeyboardInterrupt*"])
    assert [path.name for path in (toys.path / "kept").rglob("*") if path.is_file()] == ["model_0.25.pt"]


def test_an_interrupt_while_workers_fetch_leaves_no_process(toys: Project) -> None:
    toys.write(
        "slow.py",
        """
        import time
        from torch.utils.data import Dataset
        import torch
        class Slow(Dataset):
            def __len__(self): return 10_000
            def __getitem__(self, index):
                if index > 8: open("fetching", "w").close()
                time.sleep(0.01)
                return torch.zeros(2), 0
        class Few(Slow):
            def __len__(self): return 8
        def data(): return Slow(), Few()
        """,
    )
    toys.spec("toy", CLOUDS.replace("sets:clouds", "slow:data"))
    # A background job of a shell ignores Ctrl-C, and its children with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "pytest", "--archcheck", "-m", "archcheck_accuracy", "-p", "archcheck.plugin"]
    with subprocess.Popen(
        command, cwd=toys.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            wait_for((toys.path / "fetching").exists)
            workers = children(process.pid)
            os.kill(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            signal.signal(signal.SIGINT, before)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_for(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---------------------------------------------------------------------------------------------- determinism

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
    toys.pytester.runpytest_subprocess(*arguments, "--junitxml=elsewhere.xml")
    (first,) = losses(toys, "first.xml")
    assert losses(toys, "again.xml") == [first]
    assert losses(toys, "elsewhere.xml")[1:] == [first]


def losses(project: Project, report: str) -> list[float]:
    """The last loss of each run in a JUnit file, to the last bit."""
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


# ---------------------------------------------------------------------------------------------- planted mistakes

CONVNET = """
import torch
from torch import nn

def small(stem_frozen=False, detached=False):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 49, 10))
    if stem_frozen:
        for module in net[:6]:
            module.requires_grad_(False)
        nn.init.normal_(net[0].weight, std=1e-3)
        nn.init.constant_(net[3].weight, 0.01)
    if detached:
        net.insert(6, Detach())
    return net

class Detach(nn.Module):
    def forward(self, x): return x.detach().mean((2, 3), keepdim=True).expand_as(x)
"""

MINI = """\
build: nets:small
args: {}
input: [B, 1, 28, 28]
training:
  dataset: fashion-mnist-mini
  optimizer: {name: Adam, lr: 0.005}
  batch_size: 100
  epochs: 2
  accuracy: 0.78
"""

SHUFFLED = """
import torch
from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit, LoadedDataset
from archcheck.spec.models import Named
from pathlib import Path
def data():
    pair = load_dataset(Named(name="fashion-mnist-mini"), DataContext(Path("."), None, None, False, None, None))
    order = torch.randperm(len(pair.train), generator=torch.Generator().manual_seed(0))
    return LoadedDataset("shuffled", ArraySplit(pair.train.inputs, pair.train.targets[order]), pair.test, 10)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("args: {}", "args: {detached: true}"),
        ("args: {}", "args: {stem_frozen: true}"),
        ("dataset: fashion-mnist-mini", "dataset: shuffled:data"),
    ],
    ids=["no gradient to a layer", "frozen stem", "labels shuffled"],
)
def test_a_planted_mistake_misses_the_minimum_that_sound_runs_reach(project: Project, old: str, new: str) -> None:
    project.write("nets.py", CONVNET)
    project.write("shuffled.py", SHUFFLED)
    result = accuracy(project, MINI.replace(old, new))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["specs/toy.arch.yaml:9: accuracy: 0.* after 2 epochs, * below the minimum"])


def test_the_sound_one_reaches_it(project: Project) -> None:
    project.write("nets.py", CONVNET)
    accuracy(project, MINI).assert_outcomes(passed=1)


# ---------------------------------------------------------------------------------------------- progress


def test_without_a_terminal_an_epoch_is_a_line(toys: Project) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7))
    assert re.findall(r"^specs/toy\.arch\.yaml: (.*?)  [\d_]+ examples/s", result.stdout.str(), re.MULTILINE) == [
        "epoch 1/2  loss 1.6269  train 0.250  test 0.250",
        "epoch 2/2  loss 0.6269  train 0.750  test 0.750",
    ]


@pytest.mark.parametrize("arguments", [["-q"], ["-qq"], ["-p", "no:terminal"]])
def test_where_quiet_is_asked_for_nothing_is_said(toys: Project, arguments: list[str]) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7), *arguments)
    assert result.ret == 0
    assert "epoch 1/2" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("arguments", [["-s"], ["--capture=no"], ["--capture=sys"], ["-v"]])
def test_progress_is_told_under_any_capturing(toys: Project, arguments: list[str]) -> None:
    result = accuracy(toys, scripted([0.25, 0.75], 0.7), *arguments)
    result.assert_outcomes(passed=1)
    assert result.stdout.str().count(": epoch ") == 2


@pytest.mark.parametrize("capture", ["fd", "sys"])
def test_progress_is_no_captured_output(toys: Project, capture: str) -> None:
    toys.write("talk.py", TOYS.replace("time.sleep(self.sleep)", "print('forward here')"))
    result = accuracy(toys, scripted([0.25, 0.5], 0.7).replace("toys:", "talk:"), f"--capture={capture}")
    captured = result.stdout.str().partition("Captured stdout call")[2].partition("=====")[0]
    assert "forward here" in captured
    assert "epoch 1/2" not in captured
    assert "epoch 1/2" in result.stdout.str()


@pytest.mark.skipif(not hasattr(os, "openpty") or shutil.which("stty") is None, reason="needs a terminal")
def test_on_a_terminal_one_line_is_rewritten(toys: Project) -> None:
    toys.spec("toy", scripted([0.25, 0.75], 0.7).replace("0.75]}", "0.75], sleep: 0.15}"))
    output = on_terminal(toys, "-m", "archcheck_accuracy", "-v")
    live = re.findall(r"\rtoy: (epoch [^\r\n]*?) *(?=\r)", output)
    assert any(re.match(r"epoch 2/2 +\d+%  loss 0\.\d{4}  test 0\.250  ", line) for line in live), output
    assert "1 passed" in output
    assert all(line.rstrip() == "" or ": epoch" not in line for line in last_writings(output)), output


def on_terminal(project: Project, *arguments: str) -> str:
    """What pytest writes on a terminal."""
    script = (
        "import os, pty, sys\n"
        "def read(handle):\n    data = os.read(handle, 65536)\n    return data\n"
        f"sys.exit(os.waitstatus_to_exitcode(pty.spawn({[sys.executable, '-m', 'pytest', '-p', 'archcheck.plugin']!r}"
        f" + ['--archcheck', *{list(arguments)!r}], read)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.path, capture_output=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def last_writings(output: str) -> list[str]:
    """What is left of each line on the screen when everything is written."""
    return [line.rsplit("\r", 1)[-1] for line in output.replace("\r\n", "\n").split("\n")]


def test_no_worker_process_outlives_a_run(toys: Project) -> None:
    accuracy(toys, CLOUDS.replace("sets:clouds", "sets:streamed")).assert_outcomes(passed=1)
    assert multiprocessing.active_children() == []


# ---------------------------------------------------------------------------------------------- beside other things


@pytest.mark.parametrize("status", [0, 3])
def test_a_worker_that_dies_is_told_as_such(toys: Project, status: int) -> None:
    """In the middle of things: with batches on their way, and while the network is at work."""
    toys.write(
        "dying.py",
        f"""
        import os, time, torch, toys
        from sets import Streamed, clouds
        class Dying(Streamed):
            home, served = os.getpid(), 0
            def __getitem__(self, index):
                self.served += 1
                if os.getpid() != self.home and self.served > 40:
                    os._exit({status})
                return super().__getitem__(index)
        class Slow(torch.nn.Linear):
            def forward(self, x):
                if self.training and x.device.type != "meta":
                    time.sleep(0.3)
                return super().forward(x)
        def net(): return Slow(2, 2)
        def data():
            train, test = clouds()
            return Dying(train), Streamed(test)
        """,
    )
    text = CLOUDS.replace("sets:clouds", "dying:data").replace("toys:linear", "dying:net").replace("64", "16")
    found = failing_text(accuracy(toys, text))
    assert re.match(r"specs/toy\.arch\.yaml:4: dataset: .*worker", found), found


def test_warnings_as_errors_fail_no_sound_run(toys: Project) -> None:
    text = CLOUDS.replace("  epochs: 2\n", "  epochs: 2\n  scheduler: {name: StepLR, step_size: 1}\n")
    warnings = "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"  # of this very harness, before pytest 9
    accuracy(toys, text.replace("sets:clouds", "sets:streamed"), *warnings).assert_outcomes(passed=1)


def test_data_in_a_file_beside_the_spec_whatever_its_letters(toys: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.write("specs/modèles/données.py", SETS)
    toys.spec("modèles/réseau", CLOUDS.replace("sets:clouds", "données.py:clouds"))
    elsewhere = toys.path / "deep"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = toys.run("--rootdir", str(toys.path), "-c", str(toys.path / "pytest.ini"), "-m", "archcheck_accuracy")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["../specs/modèles/réseau.arch.yaml  quick *"])


def test_last_failed_trains_only_what_failed(toys: Project) -> None:
    toys.spec("fine", scripted([0.5], 0.4))
    path = toys.spec("toy", scripted([0.5], 0.6))
    toys.run("-m", "archcheck_accuracy").assert_outcomes(passed=1, failed=1)
    path.write_text(scripted([0.5], 0.4))
    toys.run("-m", "archcheck_accuracy", "--lf").assert_outcomes(passed=1)


def test_exitfirst_trains_nothing_more(toys: Project) -> None:
    toys.spec("a", scripted([0.5], 0.6))
    toys.spec("b", scripted([0.5], 0.4))
    result = toys.run("-m", "archcheck_accuracy", "-x")
    result.assert_outcomes(failed=1)
    assert "specs/b.arch.yaml: epoch" not in result.stdout.str()
