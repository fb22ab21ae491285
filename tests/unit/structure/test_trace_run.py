"""Every forward pass sees the network as it was built."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.structure.records import TensorRecord
from archcheck.structure.trace import trace_model, trace_structure
from tests.unit.structure.traced_networks import (
    TWO,
    Forward,
    Net,
    batch,
    linear,
)


class Remembers(Net):
    """Keeps something of what it has seen, as caches do."""

    def __init__(self, function: Forward) -> None:
        super().__init__(function, body=linear())
        self.k: Any = None
        self.seen: list[Any] = []
        self.table: dict[str, Any] = {"rows": []}
        self.notes = SimpleNamespace(last=None)
        self.register_buffer("step", torch.zeros(()))


def in_attribute(m: Any, x: Tensor) -> Any:
    m.k = x if m.k is None else torch.cat([m.k, x])
    return m.body(m.k)


def in_list(m: Any, x: Tensor) -> Any:
    m.seen.append(x)
    return m.body(torch.cat(m.seen))


def in_nested_list(m: Any, x: Tensor) -> Any:
    m.table["rows"].append(x)
    return m.body(torch.cat(m.table["rows"]))


def in_object(m: Any, x: Tensor) -> Any:
    m.notes.last = x if m.notes.last is None else torch.cat([m.notes.last, x])
    return m.body(m.notes.last)


def in_buffer_of_the_first_batch(m: Any, x: Tensor) -> Any:
    if "bias" not in m._buffers:
        m.register_buffer("bias", torch.zeros(len(x), 4))
    return m.body(x) + m.bias


def in_values(m: Any, x: Tensor) -> Any:
    m.step += 1
    return m.body(x) if m.step.item() == 1 else m.body(m.body(x))


def in_a_layer_made_on_the_way(m: Any, x: Tensor) -> Any:
    if not hasattr(m, "late"):
        m.late = nn.Linear(4, len(x) * 0 + 4)
    return m.late(m.body(x)) if m.late.in_features == 4 else x


REMEMBERING = [in_attribute, in_list, in_nested_list, in_object, in_buffer_of_the_first_batch, in_values]


@pytest.mark.parametrize("live", [False, True], ids=["built", "live"])
@pytest.mark.parametrize("function", REMEMBERING, ids=lambda function: function.__name__)
def test_each_forward_sees_the_network_as_built(function: Forward, live: bool) -> None:
    inputs = [*TWO, batch(5, 4)]
    net = Remembers(function)

    trace = trace_model(net, inputs) if live else trace_structure(lambda: Remembers(function), inputs)

    assert [forward.crash for forward in trace.forwards] == [None] * 3
    assert [forward.output for forward in trace.forwards] == [TensorRecord((size, 4)) for size in (2, 3, 5)]
    assert [forward.macs for forward in trace.forwards] == [32, 48, 80]
    assert trace.macs == 16
    assert (trace.root.num_params, trace.root.num_buffers) == (20, 1)
    assert net.k is None
    assert net.seen == []


def hidden_memory() -> nn.Module:
    memory: list[Tensor] = []

    def forward(m: Any, x: Tensor) -> Any:
        memory.append(x)
        return m.body(torch.cat(memory))

    return Net(forward, body=linear())


def test_memory_out_of_sight_is_seen_by_its_effect() -> None:
    outputs = [forward.output for forward in trace_structure(hidden_memory, TWO).forwards]

    assert outputs == [TensorRecord((2, 4)), TensorRecord((3, 4))]


def test_layer_made_in_the_forward_is_counted() -> None:
    trace = trace_structure(lambda: Remembers(in_a_layer_made_on_the_way), TWO)

    assert (trace.root.num_params, trace.macs) == (20 + 20, 32)
