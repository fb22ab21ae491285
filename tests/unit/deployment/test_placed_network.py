"""Networks built to be placed on a device: weights that nobody reads are left as they are allocated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.deployment.placed_network import build_with_values

BEFORE = 1e9  # what memory that was used before may hold


def _linear(init: object) -> nn.Module:
    linear = nn.Linear(3, 4, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.full((4, 3), BEFORE))
    init(linear.weight)  # type: ignore[operator]
    return linear


@pytest.mark.parametrize(
    "init",
    [
        nn.init.normal_,
        nn.init.kaiming_uniform_,
        nn.init.trunc_normal_,  # draws again what is beyond its bounds
    ],
)
def test_weights_are_not_drawn_whatever_their_memory_holds(init: object) -> None:
    weight = next(build_with_values(lambda: _linear(init), drawn=False).parameters())
    assert torch.equal(weight, torch.full((4, 3), BEFORE))


def test_weights_are_drawn_where_their_values_are_needed() -> None:
    weight = next(build_with_values(lambda: _linear(nn.init.trunc_normal_), drawn=True).parameters())
    assert float(weight.detach().abs().max()) <= 2.0


def test_a_comparison_of_an_undrawn_weight_has_its_shape() -> None:
    compared = []

    def make() -> nn.Module:
        linear = nn.Linear(3, 4, bias=False)
        compared.append(linear.weight > 0.5)
        return linear

    build_with_values(make, drawn=False)
    assert compared[0].shape == (4, 3)
    assert compared[0].dtype == torch.bool
