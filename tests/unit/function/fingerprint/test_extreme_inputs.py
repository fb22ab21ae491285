"""Bounds that usual values never reach are reached at very large and very small inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.function.fingerprint.preparation import NetworkFactory
from tests.unit.function.running import Computed, difference, held_against, recorded

PROBLEM = "the output at very large or small inputs differs"


def _with(run: Callable[[Any, Tensor], Any], number: float | None = None) -> NetworkFactory:
    def make() -> nn.Module:
        more = {} if number is None else {"number": nn.Parameter(torch.tensor(number))}
        return Computed(run, fc=nn.Linear(8, 4), **more)

    return make


CLAMPED: dict[str, tuple[NetworkFactory, NetworkFactory]] = {
    "inputs": (_with(lambda net, x: net.fc(x.clamp(-10, 10))), _with(lambda net, x: net.fc(x))),
    "inputs at another bound": (
        _with(lambda net, x: net.fc(x.clamp(-10, 10))),
        _with(lambda net, x: net.fc(x.clamp(-5, 5))),
    ),
    "temperature": (
        _with(lambda net, x: net.fc(x) * net.number.exp().clamp(max=100.0), 2.0),
        _with(lambda net, x: net.fc(x) * net.number.exp(), 2.0),
    ),
    "step of a quantiser": (
        _with(lambda net, x: (net.fc(x) / net.number).clamp(-40, 39) * net.number, 0.1),
        _with(lambda net, x: (net.fc(x) / net.number) * net.number, 0.1),
    ),
}


@pytest.mark.parametrize("name", CLAMPED)
def test_a_clamp_that_is_lost_or_another_is_seen(name: str) -> None:
    original, changed = CLAMPED[name]
    record = recorded(original)
    assert "bounds" in record.root.numbers
    assert held_against(record, original) is None
    found = held_against(record, changed)
    assert found is not None
    assert found[1] == PROBLEM


def test_a_network_without_a_clamp_is_not_run_once_more() -> None:
    make = _with(lambda net, x: net.fc(x).relu())
    assert "bounds" not in recorded(make).root.numbers
    assert difference(make, make) is None


def test_a_network_that_sorts_is_not_run_there_as_ties_may_fall_either_way() -> None:
    make = _with(lambda net, x: net.fc(x).clamp(0, 1).topk(2).values)
    assert "bounds" not in recorded(make).root.numbers


def test_what_is_not_finite_there_is_not_recorded() -> None:
    make = _with(lambda net, x: net.fc(x.clamp(-10, 10)) + (2 - x.square()).sqrt()[:, :4])
    record = recorded(make)
    assert record.crash is None
    assert "bounds" not in record.root.numbers


def test_the_passes_leave_the_numbers_as_they_were() -> None:
    """Those under other weights, which come behind them, are the same without them."""
    run = lambda net, x: net.fc(x).square().sum(1) * net.number.clamp(min=0.0)  # noqa: E731
    with_bounds, without = (recorded(_with(run, 2.0), bounds=one).root.numbers for one in (True, False))
    assert with_bounds["other"] == without["other"]


class Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-40, 40)


def test_a_perturbation_that_was_tried_before_is_no_part_of_what_is_recorded() -> None:
    """A deep network's large values are tried with perturbed weights, too; a verifying run isn't."""

    def make() -> nn.Sequential:
        layers = [nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Tanh()) for _ in range(20)]
        return nn.Sequential(Clamp(), *layers)

    record = recorded(make)
    again = recorded(make, gains=record.gains, large=record.large, bounds=True)
    assert record.root.numbers["bounds"] == again.root.numbers["bounds"]
