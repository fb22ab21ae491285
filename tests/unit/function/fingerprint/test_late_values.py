"""A weight without values yet has them as soon as anything reads it, by whatever way."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.preparation import prepare_for_filling
from archcheck.spec.inputs import make_forward_input, parse_input

LARGE, SMALL = (600, 512), (6, 512)
CONFIG = FingerprintConfig(make_forward_input(parse_input(["B", 512]), {"B": 2}))


class Net(nn.Module):
    """A network with a number that is computed from its drawn weight while it's built."""

    def __init__(self, read: Callable[[Tensor], Any], shape: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_uniform_(self.weight)
        self.scale = nn.Parameter(torch.tensor([float(read(self.weight.detach()))]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.t() * self.scale


WAYS: dict[str, Callable[[Tensor], Any]] = {
    "a function": lambda weight: weight.square().sum(),
    "a view": lambda weight: torch.stack([row.square().sum() for row in weight.t().unbind()]).sum(),
    "NumPy": lambda weight: (weight.numpy() ** 2).sum(),
    "a list": lambda weight: math.fsum(one**2 for row in weight.tolist() for one in row),
    "a copy": lambda weight: copy.deepcopy(weight).square().sum(),
}


def scale_of(way: str, shape: tuple[int, int]) -> float:
    network = prepare_for_filling(lambda: Net(WAYS[way], shape), CONFIG)
    return float(network.params["scale"].detach())


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_has_its_values_when_it_is_read(way: str) -> None:
    """The numbers are evenly spread between -1 and 1, so that their mean square is a third; large or small."""
    for shape in (LARGE, SMALL):
        assert scale_of(way, shape) == pytest.approx(math.prod(shape) / 3, rel=0.05)


def test_part_of_a_weight_that_is_written_leaves_the_rest_its_values() -> None:
    def zero_half(weight: Tensor) -> Tensor:
        weight[:300].zero_()
        return weight.square().sum()

    network = prepare_for_filling(lambda: Net(zero_half, LARGE), CONFIG)
    assert float(network.params["scale"].detach()) == pytest.approx(300 * 512 / 3, rel=0.02)
