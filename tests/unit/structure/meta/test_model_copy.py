"""Live networks are copied, and left alone."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from archcheck.errors import UsageError
from archcheck.structure.trace import trace_model, trace_structure
from tests.unit.structure.traced_networks import (
    TWO,
    Net,
    linear,
)


def test_live_network_is_left_alone() -> None:
    net = nn.Sequential(linear(), nn.BatchNorm1d(4), nn.LazyLinear(2), nn.Dropout())
    net[0].weight.requires_grad_(False)
    net[1].eval()
    net[0].register_forward_pre_hook(lambda *_: None)
    before = {name: value.clone() for name, value in nn.Sequential(net[0], net[1]).state_dict().items()}
    flags = [module.training for module in net.modules()]
    attributes = [sorted(vars(module)) for module in net.modules()]

    trace = trace_model(net, TWO)

    assert trace.device == "meta"
    assert trace.root.num_params == 20 + 8 + 10
    assert trace.root.num_frozen_params == 16
    assert [module.training for module in net.modules()] == flags
    assert [sorted(vars(module)) for module in net.modules()] == attributes
    assert all(torch.equal(before[name], value) for name, value in nn.Sequential(net[0], net[1]).state_dict().items())
    assert type(net[2]) is nn.LazyLinear
    assert net[0].weight.device.type == "cpu"


def test_live_network_with_tensors_anywhere() -> None:
    net = Net(lambda m, x: m.body(x) * m.masks["a"][0] + m.body.weight[0], body=linear(), masks={"a": [torch.ones(4)]})
    net.tied = net.body.weight

    trace = trace_model(net, TWO)

    assert (trace.device, trace.root.num_params) == ("meta", 20)


def test_live_network_that_needs_values_is_copied_to_the_cpu() -> None:
    net = Net(lambda m, x: m.body(x) * x.sum().item(), body=linear())
    net.body.register_forward_hook(lambda m, _, __: setattr(m, "touched", True))

    trace = trace_model(net, TWO)

    assert (trace.device, trace.macs) == ("cpu", 16)
    assert not hasattr(net.body, "touched")


def test_live_network_from_a_module_is_left_alone() -> None:
    net = nn.Sequential(linear(), nn.Dropout())

    trace_structure(lambda: net, TWO)

    assert net.training
    assert net[0].weight.device.type == "cpu"
    assert "forward" not in vars(net[0])


def test_network_that_can_not_be_copied() -> None:
    net = Net(lambda m, x: x, lock=threading.Lock())

    with pytest.raises(UsageError, match=r"Net can't be copied \(TypeError: cannot pickle .*give a callable"):
        trace_model(net, TWO)


def nested(depth: int) -> nn.Module:
    net: nn.Module = linear()
    for _ in range(depth):
        net = Net(lambda m, x: m.inner(x), inner=net)
    return net


def test_deeply_nested_network() -> None:
    trace = trace_model(nested(180), TWO)

    assert trace.forwards[0].crash is None
    assert (len(trace.modules), trace.macs) == (181, 16)


def test_wrappers_are_taken_off() -> None:
    trace = trace_model(nn.DataParallel(nn.Sequential(linear())), TWO)

    assert list(trace.modules) == ["", "0"]
