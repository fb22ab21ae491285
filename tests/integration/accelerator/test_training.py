"""Training on an accelerator: it learns what it learns on the CPU, nothing mixes devices, and no step waits for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]
STEPS: Final = 25  # of an epoch
EPOCHS: Final = 2
MOST_STEPS_FOR_A_WAIT: Final = 20

IMAGES = """\
build: archcheck.zoo.lenet:lenet_bn
input: [B, 1, 28, 28]
training:
  dataset: fashion-mnist-mini
  batch_size: 64
  epochs: 2
  steps_per_epoch: 25
  optimizer: {name: SGD, lr: 0.1, momentum: 0.9}
"""
ITEMS = """\
import torch
from torch import nn
from torch.utils.data import TensorDataset

def points():
    inputs = torch.linspace(-1, 1, 25 * 64).view(-1, 1)
    return TensorDataset(inputs, inputs ** 2), TensorDataset(inputs[:64], inputs[:64] ** 2)

def wrong():
    inputs = torch.linspace(-1, 1, 25 * 64).view(-1, 1)
    return [TensorDataset(inputs, torch.full((1600,), label)) for label in (5, 0)]

def small():
    return nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))

def pooled():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 10))
"""
POINTS = """\
build: items.py:small
input: [B, 1]
training:
  dataset: items.py:points
  loss: MSELoss
  batch_size: 64
  epochs: 2
  optimizer: {name: SGD, lr: 0.1}
"""
SPECS: Final = {
    "plain": IMAGES + "  graph: true\n",
    "augmented": IMAGES
    + "  augment: [horizontal_flip, vertical_flip, {name: random_crop, padding: 2}]\n  normalize: true\n",
    "resized": IMAGES.replace("28, 28", "20, 20").replace("archcheck.zoo.lenet:lenet_bn", "items.py:pooled")
    + "  resize: 20\n",
    "bf16": IMAGES + "  precision: bf16\n  memory_format: channels_last\n",
    "adam": IMAGES.replace("{name: SGD, lr: 0.1, momentum: 0.9}", "{name: Adam, lr: 0.01}")
    + "  clip_grad_norm: 1.0\n  scheduler: {name: OneCycleLR, max_lr: 0.01}\n  label_smoothing: 0.1\n",
    "weighted": IMAGES + "  loss: {name: CrossEntropyLoss, weight: [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]}\n",
    "streamed": IMAGES,
    "streamed-items": POINTS,
    "wrong": POINTS.replace("points", "wrong").replace("MSELoss", "CrossEntropyLoss"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the runs of all specs came to; one process makes them, as a pretended accelerator stays for good."""
    folder = tmp_path_factory.mktemp("specs")
    (folder / "items.py").write_text(ITEMS)
    paths = [folder / f"{name}.arch.yaml" for name in SPECS]
    for path, text in zip(paths, SPECS.values(), strict=True):
        path.write_text(text)
    command = [sys.executable, "-m", "tests.accelerator.training", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(SPECS, map(json.loads, done.stdout.splitlines()), strict=True))


each_run = pytest.mark.parametrize("name", [name for name in SPECS if name != "wrong"])


@each_run
def test_it_learns_what_it_learns_on_the_cpu(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    assert answer["device"]["fault"] is answer["cpu"]["fault"] is None
    assert answer["device"]["device"] == "Pretended P1"
    assert answer["steps"] == STEPS * EPOCHS
    losses, expected = ([epoch["loss"] for epoch in answer[where]["epochs"]] for where in ("device", "cpu"))
    assert losses == pytest.approx(expected, rel=1e-3 if name == "bf16" else 1e-5)
    accuracies, expected = (answer[where]["epochs"][-1]["test_accuracy"] for where in ("device", "cpu"))
    assert accuracies == pytest.approx(expected, abs=0.01)


@each_run
def test_no_step_waits_for_the_device(answers: dict[str, dict[str, Any]], name: str) -> None:
    waits = [one for one in answers[name]["waits"] if "TrainingStep.__call__" in one["functions"]]
    assert waits == []


@each_run
def test_between_steps_the_device_is_waited_for_once_in_twenty(answers: dict[str, dict[str, Any]], name: str) -> None:
    """The first step of the run, and the end of an epoch, are no steady state."""
    at_ends = {0, 1, *(STEPS * epoch for epoch in range(1, EPOCHS + 1))}
    waits = [one for one in answers[name]["waits"] if one["step"] not in at_ends]
    steps = Counter(one["step"] for one in waits)
    for first in range(1, STEPS * EPOCHS):
        window = [step for step in steps.elements() if first <= step < first + MOST_STEPS_FOR_A_WAIT]
        assert len(window) <= 1, waits
    assert {one["functions"][1] for one in waits} == {"LossMonitor.check_step"}


def test_of_data_that_is_resident_no_batch_is_copied(answers: dict[str, dict[str, Any]]) -> None:
    """What is copied: the data, an epoch's order, what normalises, the weights."""
    assert sum(answers["augmented"]["copies"].values()) < STEPS * EPOCHS


@pytest.mark.parametrize("name", ["streamed", "streamed-items"])
def test_what_is_streamed_comes_from_pinned_memory_without_waiting(
    answers: dict[str, dict[str, Any]], name: str
) -> None:
    copies = answers[name]["copies"]
    num_batches = STEPS * EPOCHS
    assert copies["to the device, pinned, non_blocking"] >= 2 * num_batches
    assert copies.get("to the device, non_blocking", 0) == 0


def test_what_the_device_has_no_graphs_for_is_trained_without(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["plain"]["device"]["graph_problem"] == "torch has no graphs for pretended"


def test_a_label_out_of_range_is_told_before_the_device_gets_it(answers: dict[str, dict[str, Any]]) -> None:
    """On a GPU the loss would end the whole process."""
    fault = answers["wrong"]["device"]["fault"]
    assert fault["message"] == "label 5 is out of range: the network has 1 outputs, for labels 0 to 0"
    assert answers["wrong"]["steps"] == 0
