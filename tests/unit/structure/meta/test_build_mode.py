"""Constructors run as written, without weights."""

from __future__ import annotations

import torch
from torch import nn

from archcheck.structure.meta.build_mode import BuildMode, restore_reset_parameters


def test_weights_are_neither_allocated_nor_filled() -> None:
    with BuildMode():
        layer = nn.Linear(10**6, 10**6)  # 4 TB
        nn.init.kaiming_uniform_(layer.weight)
        layer.weight.data.normal_(0, 0.02).mul_(2)
    assert layer.weight.is_meta
    assert layer.weight.shape == (10**6, 10**6)


def test_tables_of_numbers_have_their_values() -> None:
    with BuildMode():
        rates = [x.item() for x in torch.linspace(0, 1, 3)]
        table = torch.arange(4)
    assert rates == [0, 0.5, 1]
    assert table.tolist() == [0, 1, 2, 3]


def test_layers_have_their_own_reset_afterwards() -> None:
    with BuildMode():
        layer = nn.Linear(2, 2)
    restore_reset_parameters([layer])
    assert vars(layer).keys() == vars(nn.Linear(2, 2)).keys()
    layer.to_empty(device="cpu").reset_parameters()
    assert layer.weight.abs().max() <= 2**-0.5


def test_a_reset_of_the_users_own_runs() -> None:
    class Mine(nn.Linear):
        def reset_parameters(self) -> None:
            self.was_reset = True

    with BuildMode():
        assert Mine(2, 2).was_reset
