"""Networks built to be filled: those that can't be, and what they share with others."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import NotMeasured
from tests.unit.function.running import Computed, between, held_against, recorded


def normed() -> nn.Module:
    return between(lambda: nn.BatchNorm1d(16))()


def test_a_quantized_network_can_not_be_filled() -> None:
    with pytest.raises(NotMeasured, match=r"^0\._packed_params keeps its weights in _packed_params, which can't be fi"):
        recorded(lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4))))  # type: ignore[no-untyped-call]


def test_whole_numbers_as_weights_can_not_be_filled() -> None:
    make = lambda: Computed(lambda net, x: x, w=nn.Parameter(torch.ones(3, dtype=torch.int8), False))  # noqa: E731
    with pytest.raises(NotMeasured, match=r"^w is a int8, which can't be filled with fixed weights$"):
        recorded(make)


def test_a_build_that_returns_the_same_instance_every_time_leaves_it_as_it_was() -> None:
    model = normed()
    before = copy.deepcopy(model.state_dict())
    record = recorded(lambda: model)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())
    assert held_against(record, normed) is None


def test_what_an_instance_has_seen_in_training_plays_no_part() -> None:
    trained = normed()
    trained(3 * torch.randn(64, 8) + 2)
    seen = copy.deepcopy(trained.state_dict())
    assert held_against(recorded(normed), lambda: trained) is None
    assert all(torch.equal(trained.state_dict()[name], value) for name, value in seen.items())


def test_a_table_that_networks_share_stays_as_it_was() -> None:
    table = torch.arange(8.0)

    def forward(net: Any, x: Tensor) -> Any:
        net.table.mul_(2)
        out: Tensor = net.fc(x * net.table)
        return out

    recorded(lambda: Computed(forward, fc=nn.Linear(8, 4), table=table))
    assert table.tolist() == list(range(8))


def permuted(order: list[int], scale: float = 2.0) -> Any:
    def make() -> nn.Module:
        return Computed(
            lambda net, x: net.fc(x)[:, net.order] * scale,
            fc=nn.Linear(8, 4),
            order=nn.Parameter(torch.tensor(order), requires_grad=False),
        )

    return make


def test_an_order_of_channels_that_is_a_parameter_is_kept_as_it_is() -> None:
    record = recorded(permuted([2, 0, 3, 1]))
    assert held_against(record, permuted([2, 0, 3, 1])) is None
    there_already = permuted([2, 0, 3, 1])()
    assert held_against(record, lambda: there_already) is None
    assert held_against(record, permuted([2, 0, 1, 3])) is not None
    assert held_against(record, permuted([2, 0, 3, 1], scale=2.5)) is not None


def test_an_order_that_is_drawn_is_the_same_in_every_build() -> None:
    make = lambda: Computed(  # noqa: E731
        lambda net, x: net.fc(x)[:, net.order], fc=nn.Linear(8, 4), order=nn.Parameter(torch.randperm(4), False)
    )
    assert held_against(recorded(make), make) is None


def test_an_order_that_numpy_draws_is_the_same_in_every_build() -> None:
    def make() -> nn.Module:
        order = torch.from_numpy(np.random.permutation(4))
        return Computed(lambda net, x: net.fc(x)[:, net.order], fc=nn.Linear(8, 4), order=nn.Parameter(order, False))

    assert held_against(recorded(make), make) is None
