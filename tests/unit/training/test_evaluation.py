"""The accuracy of a network with given weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.training.evaluation import evaluate
from archcheck.training.failures import RunFailed
from tests.unit.training.conftest import as_batches, make_recipe


class FirstIsLarger(nn.Module):
    """Says class 0 where the first number is the larger one, and class 1 elsewhere; it counts its training passes."""

    def __init__(self) -> None:
        super().__init__()
        self.trained = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.trained += self.training
        return x


def test_it_is_the_share_of_right_answers() -> None:
    inputs = torch.tensor([[2.0, 1.0], [1.0, 2.0], [0.0, 3.0], [5.0, 4.0], [1.0, 0.0]])
    targets = torch.tensor([0, 1, 0, 0, 1])  # three of five, by hand
    recipe = make_recipe("batch_size: 2")
    network = FirstIsLarger()
    assert evaluate(network, as_batches(inputs, targets, recipe, train=False), recipe) == pytest.approx(0.6)
    assert network.trained == 0


def test_a_network_of_another_number_of_outputs_is_refused() -> None:
    recipe = make_recipe("batch_size: 2")
    batches = as_batches(torch.zeros(4, 2), torch.tensor([0, 1, 2, 3]), recipe, train=False)
    with pytest.raises(RunFailed):
        evaluate(FirstIsLarger(), batches, recipe, num_classes=4)
