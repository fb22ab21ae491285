"""Attributes that have the names of methods of nn.Module, as in `self.modules = [...]`: the network is what it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.structure.trace import trace_model, trace_structure
from tests.unit.structure.traced_networks import TWO, linear

NAMES = [
    *("modules", "named_modules", "children", "named_children", "get_submodule", "add_module", "apply"),
    *("parameters", "named_parameters", "get_parameter", "buffers", "named_buffers", "register_buffer"),
    *("eval", "train", "requires_grad_", "zero_grad", "state_dict", "load_state_dict", "share_memory"),
    *("to", "cpu", "cuda", "float", "double", "half", "type", "extra_repr", "register_forward_hook"),
]


class Shadowed(nn.Module):
    def __init__(self, name: str, value: Any) -> None:
        super().__init__()
        self.fc, self.drop = linear(), nn.Dropout()
        vars(self)[name] = value

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(self.fc(x))
        return out


def shadowed(name: str, value: Any) -> Any:
    """A network in which both the root and a child have an attribute of this name."""
    return nn.Sequential(Shadowed(name, value), nn.BatchNorm1d(4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [{"lr": 0.1}, True], ids=["dict", "flag"])
def test_a_network_whose_attribute_hides_a_method_is_traced(name: str, value: Any) -> None:
    trace = trace_structure(lambda: shadowed(name, value), TWO)

    assert (trace.device, trace.died) == ("meta", None)
    assert (trace.root.num_params, trace.root.num_buffers, trace.macs) == (20 + 8, 9, 16)


@pytest.mark.parametrize("name", NAMES)
def test_a_live_network_whose_attribute_hides_a_method_is_traced_and_left_alone(name: str) -> None:
    net = shadowed(name, [linear()])

    assert trace_model(net, TWO).root.num_params == 20 + 8
    assert net[0].training
    assert isinstance(vars(net[0])[name], list)


def test_the_cpu_takes_such_a_network_too() -> None:
    net = shadowed("parameters", {"lr": 0.1})
    net.append(NeedsValues())

    assert trace_model(net, TWO).device == "cpu"
    assert trace_structure(lambda: net, TWO).device == "cpu"


class NeedsValues(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert not self.training, "expected eval mode"
        return x if bool(torch.isfinite(x.sum())) else -x


class OwnMode(NeedsValues):
    """A module with an `eval()` of its own, next to an attribute that hides `train()`."""

    def __init__(self) -> None:
        super().__init__()
        vars(self)["train"] = False

    def eval(self) -> Any:
        return super().eval()


def test_eval_mode_is_set_where_its_method_is_hidden() -> None:
    trace = trace_structure(lambda: nn.Sequential(linear(), OwnMode()), TWO)

    assert trace.died is None
