"""A run whose loss diverges is ended."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from archcheck.training.failures import RunFailed
from archcheck.training.loss_monitor import LossMonitor


def check(monitor: LossMonitor, *losses: float, first_step: int = 1) -> None:
    for step, loss in enumerate(losses, first_step):
        monitor.check_step(torch.tensor(loss), 1, step)


def test_a_loss_that_stays_in_bounds_is_fine() -> None:
    monitor = LossMonitor(torch.device("cpu"))
    check(monitor, 2.0, 1999.0, -1999.0, 0.0)
    monitor.check_epoch(torch.tensor(5000.0), 1, 4)


@pytest.mark.parametrize(("value", "text"), [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_a_loss_that_is_no_number_is_told_with_its_step(value: float, text: str) -> None:
    message = rf"^the loss is {text} in epoch 1, step 2: a smaller learning rate, clip_grad_norm or another init may"
    with pytest.raises(RunFailed, match=message) as raised:
        check(LossMonitor(torch.device("cpu")), 1.0, value)
    assert raised.value.fault.key == "optimizer"


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ((torch.tensor([1.0, math.nan]), torch.zeros(2)), "the data set's inputs in epoch 1, step 1 hold nan or inf"),
        (
            ({"x": torch.zeros(2)}, torch.tensor([math.inf])),
            "the data set's targets in epoch 1, step 1 hold nan",
        ),
    ],
)
def test_a_loss_of_what_is_no_number_is_the_data_sets_fault(batch: Any, told: str) -> None:
    with pytest.raises(RunFailed, match=told) as failed:
        LossMonitor(torch.device("cpu")).check_step(torch.tensor(math.nan), 1, 1, batch)
    assert failed.value.fault.key == "dataset"


def test_a_thousand_times_the_first_loss_is_an_explosion() -> None:
    message = "^the loss has exploded, from 2.5 to 2.6e[+]03 in epoch 1, step 2: a smaller learning rate"
    with pytest.raises(RunFailed, match=message):
        check(LossMonitor(torch.device("cpu")), 2.5, 2600.0)


def test_a_first_loss_near_zero_counts_as_one() -> None:
    monitor = LossMonitor(torch.device("cpu"))
    check(monitor, 0.001, 999.0)
    with pytest.raises(RunFailed, match="exploded"):
        check(monitor, 1001.0)


def test_a_gpus_loss_is_read_at_the_first_and_every_twentieth_step() -> None:
    monitor = LossMonitor(torch.device("meta"))  # any device but the CPU
    check(monitor, 1.0, float("nan"), first_step=1)
    check(monitor, float("nan"), first_step=19)
    with pytest.raises(RunFailed, match="the loss is nan in epoch 1, step 20"):
        check(monitor, float("nan"), first_step=20)


def test_a_sum_with_a_loss_that_is_no_number_is_told_at_the_epochs_end() -> None:
    with pytest.raises(RunFailed, match="the loss is nan in epoch 3, step 40"):
        LossMonitor(torch.device("meta")).check_epoch(torch.tensor(float("nan")), 3, 40)
