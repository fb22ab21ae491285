"""Parameters that a loop leaves as they were are told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.training.untrained import ParameterWatch


def network() -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])


@torch.no_grad()
def change(*modules: nn.Module) -> None:
    for module in modules:
        for parameter in module.parameters():
            parameter.data.add_(1e-4)  # which no version counter of the parameter tells


def test_what_all_changes_is_not_told() -> None:
    net = network()
    watch = ParameterWatch(net)
    change(net)
    assert watch.note() is None


def test_what_is_left_is_told_by_name() -> None:
    net = network()
    watch = ParameterWatch(net)
    change(net[1])
    note = "the loop left 4 of 6 trainable parameters as they were: 0.weight, 0.bias, 2.weight, 2.bias"
    assert watch.note() == note


def test_a_loop_that_trains_nothing_is_told() -> None:
    assert ParameterWatch(network()).note() == "the loop left all trainable parameters of the network as they were"


def test_what_was_frozen_before_plays_no_part() -> None:
    net = network()
    net[0].requires_grad_(False)
    watch = ParameterWatch(net)
    change(net[1], net[2])
    assert watch.note() is None


def test_what_the_loop_freezes_is_told() -> None:
    net = network()
    watch = ParameterWatch(net)
    net[0].requires_grad_(False)
    change(net[1], net[2])
    assert str(watch.note()).startswith("the loop left 2 of 6 trainable parameters")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64])
def test_other_dtypes_are_looked_at_too(dtype: torch.dtype) -> None:
    net = nn.Linear(4, 4, dtype=dtype)
    watch = ParameterWatch(net)
    assert watch.note() is not None
    with torch.no_grad():
        net.weight.mul_(2)
        net.bias.mul_(2)
    assert watch.note() is None


def test_lazy_and_empty_parameters_play_no_part() -> None:
    lazy = nn.LazyLinear(3)
    lazy.register_parameter("none", nn.Parameter(torch.empty(0)))
    watch = ParameterWatch(lazy)
    lazy(torch.zeros(1, 2))
    assert watch.note() is None


def test_steps_of_one_size_are_seen() -> None:
    """As those of Adam's first step are; from zero they come out as one number, and an even number of times."""
    net = nn.Linear(4, 4, bias=False)
    nn.init.zeros_(net.weight)
    watch = ParameterWatch(net)
    change(net)
    assert watch.note() is None
