"""Runs from start to end: curves, determinism, early stop, what sound networks reach and broken ones don't."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.training.callbacks import TrainingCallbacks, TrainingProgress
from archcheck.training.options import RunOptions
from archcheck.training.recipe import Recipe
from archcheck.training.records import EpochRecord, TrainingFault, TrainingRecord
from archcheck.training.tolerance_bound import lower_bound
from archcheck.training.trainer import Trainer, choose_recipe

Fit = Callable[..., TrainingRecord]


def test_the_first_epochs_loss_is_the_mean_over_its_batches(fit: Fit, clouds: tuple[Tensor, Tensor]) -> None:
    """With a rate that changes nothing, that of the network as it was."""
    torch.manual_seed(0)
    network = nn.Linear(2, 2)
    before = nn.functional.cross_entropy(network(clouds[0]), clouds[1])
    record = fit(network, "optimizer: {name: SGD, lr: 1.0e-12}\nbatch_size: 32\nepochs: 1")
    assert record.epochs[0].loss == pytest.approx(float(before), rel=1e-5)
    right = (network(clouds[0]).argmax(1) == clouds[1]).double().mean()
    assert record.epochs[0].train_accuracy == record.epochs[0].test_accuracy == pytest.approx(float(right))


def test_two_clouds_far_apart_are_told_apart(fit: Fit) -> None:
    record = fit(nn.Linear(2, 2), "optimizer: {name: SGD, lr: 0.1}\nbatch_size: 16\nepochs: 3\naccuracy: 1.0")
    assert record.fault is None
    assert record.final_accuracy == 1.0


def test_a_line_is_learnt_by_regression(fit: Fit) -> None:
    x = torch.linspace(-1, 1, 256).reshape(-1, 1)
    network = nn.Linear(1, 1)
    training = "loss: MSELoss\noptimizer: {name: SGD, lr: 0.3}\nbatch_size: 32\nepochs: 10"
    record = fit(network, training, (x, 3 * x + 1), "[B, 1]")
    assert record.metric == "R²"
    assert record.final_accuracy == pytest.approx(1.0, abs=1e-3)
    assert [float(p) for p in network.parameters()] == pytest.approx([3.0, 1.0], abs=0.02)


def test_yes_and_no_are_learnt(fit: Fit, clouds: tuple[Tensor, Tensor]) -> None:
    data = clouds[0], clouds[1].float()[:, None]
    record = fit(nn.Linear(2, 1), "loss: BCEWithLogitsLoss\nbatch_size: 16\nepochs: 3", data)
    assert record.final_accuracy == 1.0


@pytest.mark.parametrize("loss", ["SoftMarginLoss", "HingeEmbeddingLoss"])
def test_signs_as_targets_are_counted_or_refused_in_one_line(
    fit: Fit, clouds: tuple[Tensor, Tensor], loss: str
) -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    record = fit(network, f"loss: {loss}\nbatch_size: 16\nepochs: 3", (clouds[0], clouds[1].float() * 2 - 1))
    assert record.fault is not None or record.final_accuracy is not None


def test_pixels_that_the_loss_ignores_may_have_any_label(fit: Fit) -> None:
    inputs = torch.rand(32, 1, 4, 4)
    targets = (inputs[:, 0] > 0.5).long()
    targets[:, 0] = 255
    loss = "loss: {name: CrossEntropyLoss, ignore_index: 255}\nbatch_size: 8\nepochs: 1"
    assert fit(nn.Conv2d(1, 2, 1), loss, (inputs, targets), "[B, 1, 4, 4]").fault is None
    targets[:, 0] = -100  # ignored by default
    assert fit(nn.Conv2d(1, 2, 1), "batch_size: 8\nepochs: 1", (inputs, targets), "[B, 1, 4, 4]").fault is None


class NoNumber(nn.Module):
    """Gives NaN, but only to the test set."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(x)
        return y if self.training else y * float("nan")


def test_no_number_on_the_test_set_is_no_accuracy(fit: Fit) -> None:
    """NaN is the largest of any, so that half of the answers would be called right."""
    record = fit(NoNumber(), "batch_size: 16\nepochs: 2")
    assert record.fault is not None
    assert "nan" in record.fault.message


def test_faults_end_the_run_at_once_and_name_what_they_are_about(fit: Fit) -> None:
    class Explodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.calls = nn.Parameter(torch.zeros(2, 2)), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            return x @ self.weight + torch.tensor([1e6, 0.0]) * (self.calls > 3)

    network = Explodes()
    record = fit(network, "optimizer: {name: SGD, lr: 1.0e-9}\nbatch_size: 16\nepochs: 2")
    assert network.calls == 4
    assert record.fault is not None
    assert record.fault.key == "optimizer"
    assert record.fault.message.startswith("the loss has exploded, from 0.693 to ")
    assert "in epoch 1, step 4" in record.fault.message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_data_that_are_no_numbers_are_told_at_their_step(fit: Fit, clouds: tuple[Tensor, Tensor], value: float) -> None:
    inputs = clouds[0].clone()
    inputs[:] = value
    record = fit(nn.Linear(2, 2), "batch_size: 16\nepochs: 2", (inputs, clouds[1]))
    assert record.fault == TrainingFault("the data set's inputs in epoch 1, step 1 hold nan or inf", "dataset")


def test_a_loss_that_is_no_number_is_told_at_its_step(fit: Fit) -> None:
    record = fit(nn.Linear(2, 2), "optimizer: {name: SGD, lr: 1.0e+38}\nbatch_size: 16\nepochs: 2")
    assert record.fault == TrainingFault(
        "the loss is nan in epoch 1, step 2: a smaller learning rate, clip_grad_norm or another init may keep it in "
        "bounds",
        "optimizer",
    )


def test_test_data_that_are_no_numbers_are_the_data_sets_fault(fit: Fit, clouds: tuple[Tensor, Tensor]) -> None:
    inputs = clouds[0].clone()
    inputs[-1] = float("nan")
    record = fit(nn.Linear(2, 2), "batch_size: 16\nepochs: 2", test_data=(inputs, clouds[1]))
    assert record.fault == TrainingFault("the data set's inputs in the test set hold nan or inf", "dataset")


def test_watchers_see_every_epoch_and_the_network_as_it_is(fit: Fit) -> None:
    network, seen = nn.Linear(2, 2), list[tuple[int, bool]]()
    progress: list[TrainingProgress] = []
    callbacks = TrainingCallbacks(progress.append, lambda record, given: seen.append((record.epoch, given is network)))
    record = fit(network, "batch_size: 16\nepochs: 3", callbacks=callbacks)
    assert seen == [(1, True), (2, True), (3, True)]
    assert [one.finished for one in progress if one.finished is not None] == list(record.epochs)


def test_batch_norm_answers_the_test_set_by_its_running_statistics(fit: Fit) -> None:
    modes: list[tuple[bool, bool]] = []
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    network.register_forward_hook(lambda module, _args, out: modes.append((module.training, out.requires_grad)))
    fit(network, "batch_size: 64\nepochs: 1")
    assert modes.count((True, True)) == 2  # of 128 examples
    assert set(modes) == {(True, True), (False, False)}


# ---------------------------------------------------------------------------------------------- by a spec

MLP = """\
build: torch.nn:{build}
input: [B, 1, 28, 28]
training:
  dataset: fashion-mnist-mini
  optimizer: {{name: Adam, lr: 0.003}}
  batch_size: 100
  epochs: 1
"""

NETS = """
from torch import nn
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 10))
"""


@pytest.fixture
def spec_file(tmp_path: Path) -> SpecFile:
    (tmp_path / "nets.py").write_text(NETS)
    text = MLP.format(build="x").replace("torch.nn:x", "nets.py:net")
    return parse_spec(text, path=tmp_path / "mlp.arch.yaml")


def trained(spec_file: SpecFile, seed: int = 0, **options: object) -> TrainingRecord:
    run_options = RunOptions(seed=seed, device="cpu", **options)  # type: ignore[arg-type]
    recipe: Recipe = choose_recipe(spec_file.spec, run_options)
    return Trainer(spec_file, recipe, run_options).train()


def figures(record: TrainingRecord) -> list[tuple[float | None, float | None, float]]:
    return [(epoch.loss, epoch.train_accuracy, epoch.test_accuracy) for epoch in record.epochs]


def test_the_same_seed_is_the_same_curve_bit_for_bit(spec_file: SpecFile) -> None:
    first = trained(spec_file)
    torch.manual_seed(123)
    torch.rand(100)
    assert figures(trained(spec_file)) == figures(first)
    assert figures(trained(spec_file, seed=1)) != figures(first)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_the_callers_modes_change_nothing(spec_file: SpecFile, mode: Callable[[], torch.no_grad]) -> None:
    first = trained(spec_file)
    with mode():
        assert figures(trained(spec_file)) == figures(first)


def test_bf16_trains_the_weights_that_the_optimizer_has_changed(spec_file: SpecFile) -> None:
    """Autocast keeps the weights that it has cast, if another autocast is around it, and then nothing is learnt."""
    options = RunOptions(device="cpu")
    recipe = choose_recipe(spec_file.spec, options)
    trainer = Trainer(spec_file, recipe, options)
    longer = replace(recipe, epochs=2, accuracy=None)
    exact, rounded = [trainer.train(replace(longer, precision=precision)) for precision in ("fp32", "bf16")]
    exacts, roundeds = [[epoch.loss or 0.0 for epoch in record.epochs] for record in (exact, rounded)]
    assert roundeds == pytest.approx(exacts, rel=0.02)
    assert 0 < exacts[-1] < 0.9 * exacts[0]


def test_one_trainer_runs_any_number_of_times_from_the_start(spec_file: SpecFile) -> None:
    options = RunOptions(device="cpu")
    trainer = Trainer(spec_file, choose_recipe(spec_file.spec, options), options)
    assert figures(trainer.train()) == figures(trainer.train())


def test_numpys_random_numbers_are_seeded_too(tmp_path: Path) -> None:
    """Even where nobody has asked for numpy.random before: it is imported by its first use only."""
    import subprocess
    import sys

    (tmp_path / "nets.py").write_text(
        "import numpy as np\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(784, 10)\n"
        "    def forward(self, x):\n        return self.fc(x.flatten(1) + np.random.rand())\n"
    )
    (tmp_path / "mlp.arch.yaml").write_text(MLP.format(build="x").replace("torch.nn:x", "nets.py:Net"))
    script = (
        "import sys, pathlib\nfrom archcheck.spec.spec_file import read_spec\n"
        "from archcheck.training.options import RunOptions\n"
        "from archcheck.training.trainer import Trainer, choose_recipe\n"
        "spec_file, options = read_spec(pathlib.Path('mlp.arch.yaml')), RunOptions(device='cpu')\n"
        "trainer = Trainer(spec_file, choose_recipe(spec_file.spec, options), options)\n"
        "print([trainer.train().epochs[-1].loss for _ in range(2)])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    first, second = done.stdout.strip("[]\n").split(", ")
    assert first == second


def test_sound_runs_reach_the_minimum_set_from_five_others(spec_file: SpecFile) -> None:
    accuracies = [trained(spec_file, seed).final_accuracy or 0.0 for seed in range(25)]
    bound = lower_bound(accuracies[20:], chance=0.1, resolution=1 / 1000)
    assert bound > 0.5
    assert min(accuracies[:20]) >= bound


def test_a_run_that_streams_is_the_same_run(spec_file: SpecFile) -> None:
    assert figures(trained(spec_file, data_budget_bytes=0)) == figures(trained(spec_file))


def test_a_step_prepared_for_timing_is_one_of_training(spec_file: SpecFile) -> None:
    options = RunOptions(device="cpu")
    trainer = Trainer(spec_file, choose_recipe(spec_file.spec, options), options)
    take_step = trainer.prepare_step()
    for _ in range(70):  # more than the 60 batches of an epoch
        take_step()
    trainer.synchronize()


def test_the_record_says_how_the_run_was_done(spec_file: SpecFile) -> None:
    record = trained(spec_file, seed=7)
    assert (record.kind, record.seed, record.device, record.precision) == ("quick", 7, "cpu", "fp32")
    (epoch,) = record.epochs
    assert isinstance(epoch, EpochRecord)
    assert epoch.first_step_sec > 0
    assert 0 < epoch.duration_sec <= time.perf_counter()
    assert record.examples_per_sec == pytest.approx(epoch.examples_per_sec)
