"""What a trace records of a network: modules, calls, outputs, counts."""

from __future__ import annotations

import pickle
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.records import MappingRecord, OpaqueRecord, SequenceRecord, TensorRecord
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import (
    TWO,
    Net,
    batch,
    lenet,
    linear,
    traced,
)


def test_layers_are_recorded_in_execution_order() -> None:
    trace = trace_structure(lenet, [batch(2, 1, 28, 28), batch(3, 1, 28, 28)])

    # LeCun et al. 1998, with the padding that makes 28 x 28 images fit
    shapes = {call.name: call.output for call in trace.forwards[1].calls}
    assert list(shapes) == ["", "conv1", "act1", "pool1", "conv2", "pool2", "flat", "fc1", "fc2", "fc3"]
    assert shapes["conv1"] == TensorRecord((3, 6, 28, 28))
    assert shapes["pool2"] == TensorRecord((3, 16, 5, 5))
    assert shapes["fc3"] == shapes[""] == trace.forwards[1].output == TensorRecord((3, 10))
    assert trace.root.num_params == 61_706
    # 28*28*6*25 + 10*10*16*6*25 + 400*120 + 120*84 + 84*10
    assert trace.macs == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_macs_and_order_of_returns_per_call() -> None:
    trace = traced(lambda m, x: m.b(m.a(x)), a=linear, b=lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU()))

    calls = trace.forwards[0].calls
    assert [(call.name, call.macs, call.finished) for call in calls] == [
        ("", 2 * 16 + 2 * 32, 4),
        ("a", 2 * 16, 0),
        ("b", 2 * 32, 3),
        ("b.0", 2 * 32, 1),
        ("b.1", 0, 2),
    ]


def test_repeated_calls_are_numbered() -> None:
    trace = traced(lambda m, x: m.cell(m.cell(x)[:, :1].expand(-1, 4)), cell=linear)

    assert [(call.name, call.index) for call in trace.forwards[1].calls] == [("", 0), ("cell", 0), ("cell", 1)]


def test_shared_module_has_one_record_and_an_alias() -> None:
    def make() -> nn.Module:
        block = nn.Sequential(linear())
        return nn.ModuleDict({"first": block, "second": block})

    trace = trace_structure(make, [])

    assert list(trace.modules) == ["", "first", "first.0"]
    assert trace.aliases == {"second": "first", "second.0": "first.0"}
    assert trace.modules[""].is_container
    assert not trace.modules["first"].is_container
    assert trace.root.num_params == 20


def test_tied_parameter_counts_once() -> None:
    def make() -> nn.Module:
        embedding, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        head.weight = embedding.weight
        return nn.Sequential(embedding, head)

    trace = trace_structure(make, [batch(2, 5, dtype="int64", below=10)])

    assert trace.root.num_params == trace.modules["0"].num_params == trace.modules["1"].num_params == 40


def test_parameters_of_a_non_leaf_module_frozen_ones_and_buffers() -> None:
    def make() -> nn.Module:
        net = Net(lambda m, x: m.norm(m.body(x)) * m.scale, body=linear(), norm=nn.BatchNorm1d(4))
        net.scale = nn.Parameter(torch.ones(4))
        net.offsets = nn.ParameterList([nn.Parameter(torch.zeros(3))])
        net.body.weight.requires_grad_(False)
        net.register_buffer("steps", torch.zeros(7), persistent=False)
        return net

    root = trace_structure(make, TWO).root

    assert root.num_params == 20 + 8 + 4 + 3
    assert root.num_frozen_params == 16
    assert root.num_buffers == 4 + 4 + 1 + 7


def test_parametrization_counts_the_real_parameters() -> None:
    trace = trace_structure(lambda: nn.utils.parametrizations.weight_norm(linear()), TWO)

    assert trace.root.num_params == 16 + 4 + 4  # direction, length, bias
    assert trace.root.type_name == "Linear"


def test_lazy_modules_become_what_they_are_by_the_first_forward() -> None:
    trace = trace_structure(lambda: nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d()), [batch(2, 3, 8, 8)])

    assert [module.type_name for module in trace.modules.values()] == ["Sequential", "Conv2d", "BatchNorm2d"]
    assert trace.root.num_params == 3 * 8 * 9 + 8 + 16
    assert trace.uninitialized == ()


def test_lazy_module_that_is_never_called_is_named() -> None:
    trace = traced(lambda m, x: m.used(x), used=linear, unused=lambda: nn.LazyLinear(3))

    assert trace.uninitialized == ("unused",)
    assert trace.root.num_params == 20


Pair = namedtuple("Pair", "left right")


@dataclass
class Result:
    logits: Tensor
    cache: object = None


def test_outputs_of_every_kind() -> None:
    def forward(_: Net, x: Tensor) -> Any:
        return Pair(x, None), {"k": [x, 3]}, Result(x), torch.max(x, 1), OrderedDict(h=x.half())

    (output,) = [forward.output for forward in traced(forward, [batch(2, 4)]).forwards]

    x, values = TensorRecord((2, 4)), TensorRecord((2,))
    assert isinstance(output, SequenceRecord)
    assert output.items == (
        SequenceRecord((x, OpaqueRecord("NoneType")), ("left", "right")),
        MappingRecord({"k": SequenceRecord((x, OpaqueRecord("int")))}),
        MappingRecord({"logits": x, "cache": OpaqueRecord("NoneType")}),
        SequenceRecord((values, TensorRecord((2,), "int64")), ("values", "indices")),
        MappingRecord({"h": TensorRecord((2, 4), "float16")}),
    )


def test_output_that_contains_itself_ends() -> None:
    def forward(_: Net, x: Tensor) -> list[Any]:
        out: list[Any] = [x]
        out.append(out)
        return out

    assert traced(forward).forwards[0].crash is None


def test_output_replaced_by_a_hook() -> None:
    def make() -> nn.Module:
        lstm = nn.LSTM(4, 5)
        lstm.register_forward_hook(lambda _, __, out: out[0])
        return nn.Sequential(lstm, nn.Linear(5, 2))

    trace = trace_structure(make, [batch(3, 2, 4)])

    assert trace.forwards[0].calls[1].output == TensorRecord((3, 2, 5))
    assert trace.forwards[0].output == TensorRecord((3, 2, 2))


def test_several_inputs_by_name_nested_and_of_integers() -> None:
    class Named(nn.Module):
        def forward(self, tokens: Tensor, *, pair: list[Tensor], extra: dict[str, Tensor]) -> Tensor:
            return tokens + pair[0] + pair[1] + extra["k"]

    tensor = TensorInput((2, 3))
    given = ForwardInput(
        (TensorInput((2, 3), "int64", domain=Domain(below=9)),),
        {"pair": [tensor, tensor], "extra": {"k": TensorInput((3,), "float64")}},
    )

    assert trace_structure(Named, [given]).forwards[0].output == TensorRecord((2, 3), "float64")


def test_descriptions_are_one_line_each() -> None:
    trace = trace_structure(lenet, [])

    assert trace.descriptions["conv2"] == "Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))"
    assert trace.descriptions[""] == "Sequential()"
    assert pickle.loads(pickle.dumps(trace)).descriptions == dict(trace.descriptions)
