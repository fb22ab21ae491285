"""Figures of merit, against their definitions written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archcheck.spec.models import Named
from archcheck.training.metrics import ConstantAnswer, Metric, make_metric


def over(metric: Metric, outputs: Tensor, targets: Tensor, size: int = 3) -> float:
    """The figure over batches of a size."""
    for output, target in zip(torch.split(outputs, size), torch.split(targets, size), strict=True):
        metric.update(output, target)
    return metric.value()


def test_top_one_by_hand() -> None:
    outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert over(make_metric(Named(name="CrossEntropyLoss")), outputs, torch.tensor([1, 0, 0, 1])) == 0.5


def test_top_one_of_pixels_counts_pixels() -> None:
    outputs = torch.zeros(4, 3, 2, 2)
    outputs[:, 1] = 1.0
    targets = torch.ones(4, 2, 2, dtype=torch.int64)
    targets[0, 0, 0] = 2
    assert over(make_metric(Named(name="CrossEntropyLoss")), outputs, targets) == 15 / 16


def test_targets_of_probabilities_count_by_their_largest() -> None:
    outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert over(make_metric(Named(name="CrossEntropyLoss")), outputs, torch.tensor([[0.4, 0.6], [0.3, 0.7]])) == 0.5


@pytest.mark.parametrize(("loss", "yes", "no"), [("BCEWithLogitsLoss", 0.3, -0.3), ("BCELoss", 0.6, 0.4)])
def test_yes_or_no_by_the_threshold_that_goes_with_the_loss(loss: str, yes: float, no: float) -> None:
    outputs = torch.tensor([[yes], [no], [yes], [no]])
    assert over(make_metric(Named(name=loss)), outputs, torch.tensor([[1.0], [0.0], [0.0], [0.0]])) == 0.75


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_r_squared_is_the_share_of_variance_explained(loss: str, offset: float) -> None:
    draw = torch.Generator().manual_seed(0)
    targets = torch.randn(100, 1, generator=draw) + offset
    outputs = targets + 0.5 * torch.randn(100, 1, generator=draw)
    y, f = targets.double(), outputs.double()
    expected = 1 - float((y - f).square().sum() / (y - y.mean()).square().sum())
    metric = make_metric(Named(name=loss))
    assert over(metric, outputs, targets, size=32) == pytest.approx(expected, abs=1e-4)
    assert metric.name == "R²"


def test_r_squared_of_the_mean_is_nothing() -> None:
    targets = torch.tensor([[1.0], [2.0], [6.0]])
    assert over(make_metric(Named(name="MSELoss")), torch.full((3, 1), 3.0), targets, size=2) == pytest.approx(
        0.0, abs=1e-6
    )


def test_r_squared_of_several_targets_is_no_better_for_their_being_far_apart() -> None:
    """Each column's mean explains nothing of it, as in scikit-learn's r2_score."""
    draw = torch.Generator().manual_seed(0)
    targets = torch.randn(100, 2, generator=draw) + torch.tensor([0.0, 100.0])
    means = targets.mean(0).expand(100, 2)
    assert over(make_metric(Named(name="MSELoss")), means, targets, size=32) == pytest.approx(0.0, abs=1e-3)


def test_r_squared_is_sklearns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = torch.Generator().manual_seed(0)
    targets = torch.randn(60, 3, generator=draw) * torch.tensor([1.0, 5.0, 1.0]) + torch.tensor([0.0, 3.0, -50.0])
    outputs = targets + torch.randn(60, 3, generator=draw) * 0.3
    expected = metrics.r2_score(targets.numpy(), outputs.numpy(), multioutput="variance_weighted")
    assert over(make_metric(Named(name="MSELoss")), outputs, targets, size=25) == pytest.approx(expected, abs=1e-4)


def constant_answer(loss: str, outputs: Tensor, targets: Tensor, **args: int) -> float | None:
    answer = ConstantAnswer(Named(name=loss, **args))
    for output, target in zip(torch.split(outputs, 2), torch.split(targets, 2), strict=True):
        answer.update(output, target)
    return answer.value()


def test_one_answer_to_all_is_right_for_the_largest_class() -> None:
    labels = torch.tensor([2, 0, 2, 1, 2])
    assert constant_answer("CrossEntropyLoss", torch.zeros(5, 4), labels) == pytest.approx(3 / 5)
    assert constant_answer("NLLLoss", torch.zeros(5, 4), labels, ignore_index=2) == pytest.approx(1 / 2)
    probabilities = torch.nn.functional.one_hot(labels, 4).float()
    assert constant_answer("CrossEntropyLoss", torch.zeros(5, 4), probabilities) == pytest.approx(3 / 5)


def test_one_answer_to_all_pixels_counts_pixels() -> None:
    targets = torch.zeros(3, 2, 2, dtype=torch.int64)
    targets[0, 0] = 1
    assert constant_answer("CrossEntropyLoss", torch.zeros(3, 5, 2, 2), targets) == pytest.approx(10 / 12)


def test_one_answer_to_each_question() -> None:
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert constant_answer("BCEWithLogitsLoss", torch.zeros(3, 2), targets) == pytest.approx(2 / 3)


def test_no_answer_is_known_of_a_regression_or_of_nothing() -> None:
    assert constant_answer("MSELoss", torch.zeros(3, 1), torch.zeros(3, 1)) is None
    assert ConstantAnswer(Named(name="CrossEntropyLoss")).value() is None
