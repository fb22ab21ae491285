"""Large weights that aren't drawn while a network is built start from what they would, and not from anything else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.initial_values import measure_starts
from archcheck.function.late_draws import LateDraws

SHAPE = (640, 512)  # 327,680 numbers


class Net(nn.Module):
    def __init__(self, initialise: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(SHAPE))
        with torch.no_grad():
            initialise(self.weight)


def by_numpy(weight: Tensor) -> None:
    nn.init.normal_(weight, 0, 2)
    weight.numpy()[:] *= 3


def normalised(weight: Tensor) -> None:
    nn.init.normal_(weight)
    weight.div_(weight.norm())


def half_of_zeros(weight: Tensor) -> None:
    nn.init.uniform_(weight, 1, 2)
    weight[::2].zero_()


def of_another(weight: Tensor) -> None:
    weight.copy_(torch.empty(SHAPE).normal_(5, 0.25))


def drawn_twice(weight: Tensor) -> None:
    nn.init.normal_(weight, 3, 1)
    nn.init.uniform_(weight, -1, 1)


INITIALISERS: dict[str, Callable[[Tensor], Any]] = {
    "kaiming normal": nn.init.kaiming_normal_,
    "xavier uniform": nn.init.xavier_uniform_,
    "truncated far out": lambda weight: nn.init.trunc_normal_(weight, std=0.02),
    "truncated nearby": lambda weight: nn.init.trunc_normal_(weight, std=1.0, a=-1.0, b=0.5),
    "truncated by arithmetic": lambda weight: (
        weight.uniform_(-0.6, 0.6).erfinv_().mul_(0.5).add_(0.1).clamp_(-0.3, 0.4)
    ),
    "orthogonal": nn.init.orthogonal_,
    "read by NumPy": by_numpy,
    "normalised": normalised,
    "half of zeros": half_of_zeros,
    "copied": of_another,
    "drawn twice": drawn_twice,
    "transposed": lambda weight: weight.t().normal_().mul_(7.0),
    "exponential": lambda weight: weight.exponential_(2.0),
}


@pytest.mark.parametrize("name", INITIALISERS)
def test_the_moments_are_those_of_a_build_without_us(name: str) -> None:
    torch.manual_seed(7)
    values = Net(INITIALISERS[name]).weight.detach().double()
    found = measure_starts(lambda: Net(INITIALISERS[name]), seed=3)["weight"]
    std = float(values.std())
    assert found.std == pytest.approx(std, rel=0.03)
    assert found.mean == pytest.approx(float(values.mean()), abs=0.03 * std)
    kurtosis = float((values - values.mean()).pow(4).mean()) / std**4
    assert found.kurtosis == pytest.approx(kurtosis, rel=0.15)
    if kurtosis < 2.5:  # bounded: the largest is the bound
        assert found.largest == pytest.approx(float((values - values.mean()).abs().max()) / std, rel=0.05)


def test_a_weight_that_nothing_reads_is_not_drawn() -> None:
    with LateDraws() as draws:
        layer = nn.Linear(1024, 1024)
    some = draws.draw_some(layer.weight, 1000)
    assert some is not None
    assert len(some) == 1000
    assert float(some.abs().max()) == pytest.approx(1 / math.sqrt(1024), rel=0.02)  # torch's default for a Linear


def test_a_weight_that_is_read_is_drawn_as_a_whole() -> None:
    with LateDraws() as draws:
        layer = nn.Linear(1024, 1024)
        total = float(layer.weight.detach().square().mean())
    assert draws.draw_some(layer.weight, 1000) is None
    assert total == pytest.approx(1 / 3 / 1024, rel=0.01)


def test_two_weights_are_drawn_apart() -> None:
    found = measure_starts(lambda: nn.Sequential(nn.Linear(512, 640), nn.Linear(512, 640)), seed=0)
    assert found["0.weight"].mean != found["1.weight"].mean
    again = measure_starts(lambda: nn.Sequential(nn.Linear(512, 640), nn.Linear(512, 640)), seed=0)
    assert found == again
