"""Traces from the user's side: what is recorded, what happens when meta will not do, and that nothing else changes."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import textwrap
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import archcheck.structure.trace
from archcheck.errors import BuildError, UsageError
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.spec.target import parse_target
from archcheck.structure.meta.building import build_on_meta
from archcheck.structure.records import MappingRecord, OpaqueRecord, SequenceRecord, StructureTrace, TensorRecord
from archcheck.structure.trace import trace_model, trace_structure

Forward = Callable[[Any, Tensor], Any]


def batch(size: int, *shape: int, dtype: str = "float32", below: int | None = None) -> ForwardInput:
    return ForwardInput((TensorInput((size, *shape), dtype, below),), sizes={"B": size})


TWO = [batch(2, 4), batch(3, 4)]


class Net(nn.Module):
    """A forward given as a function, and named children."""

    body: Any

    def __init__(self, function: Forward, **children: Any) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


def traced(
    function: Forward, inputs: list[ForwardInput] | None = None, **children: Callable[[], Any]
) -> StructureTrace:
    def make() -> nn.Module:
        return Net(function, **{name: child() for name, child in children.items()})

    return trace_structure(make, inputs or TWO)


def shown(path: str) -> str:
    """A file as messages name it: from the working directory, if it is below."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


@torch.library.custom_op("archcheck_tests::doubled", mutates_args=())
def doubled(x: Tensor) -> Tensor:
    return x * 2


@torch.library.custom_op("archcheck_tests::refusing", mutates_args=())
def refusing(x: Tensor) -> Tensor:
    raise ValueError("not today")


@torch.library.custom_op("archcheck_tests::product", mutates_args=())
def product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


@product.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[1])


def lenet() -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, 6, 5, padding=2),
        "act1": nn.Sigmoid(),
        "pool1": nn.AvgPool2d(2),
        "conv2": nn.Conv2d(6, 16, 5),
        "pool2": nn.AvgPool2d(2),
        "flat": nn.Flatten(),
        "fc1": nn.Linear(400, 120),
        "fc2": nn.Linear(120, 84),
        "fc3": nn.Linear(84, 10),
    }
    return nn.Sequential(OrderedDict(layers))


# ---------------------------------------------------------------------------------------------- what is recorded


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
    assert trace.root.type_name == "ParametrizedLinear"


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
        (TensorInput((2, 3), "int64", below=9),),
        {"pair": [tensor, tensor], "extra": {"k": TensorInput((3,), "float64")}},
    )

    assert trace_structure(Named, [given]).forwards[0].output == TensorRecord((2, 3), "float64")


def test_descriptions_are_one_line_each() -> None:
    trace = trace_structure(lenet, [])

    assert trace.descriptions["conv2"] == "Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))"
    assert trace.descriptions[""] == "Sequential()"
    assert pickle.loads(pickle.dumps(trace)).descriptions == dict(trace.descriptions)


# ---------------------------------------------------------------------------------------------- multiply-adds


def with_table(m: Net, x: Tensor) -> Any:
    return m.body(x) + m.body(torch.ones(7, 4)).sum()  # the second is done once, whatever the batch


def test_macs_that_do_not_grow_with_the_batch_are_those_of_one_example() -> None:
    def make() -> nn.Module:
        return Net(with_table, body=linear())

    assert trace_structure(make, TWO, batch(1, 4)).macs == 16 + 7 * 16
    assert trace_structure(make, TWO).macs == 16 + 7 * 16


def test_macs_without_a_batch_are_those_of_the_pass() -> None:
    assert traced(lambda m, x: m.body(x), [ForwardInput((TensorInput((5, 4)),))], body=linear).macs == 5 * 16


def test_macs_are_of_the_first_size() -> None:
    def sized(size: int, height: int) -> ForwardInput:
        return ForwardInput((TensorInput((size, 1, height, 8)),), sizes={"B": size, "H": height})

    inputs = [sized(2, 8), sized(2, 16), sized(3, 8), sized(3, 16)]

    assert trace_structure(lambda: nn.Conv2d(1, 2, 3, padding=1), inputs).macs == 8 * 8 * 2 * 9


def ones(x: Tensor) -> Tensor:
    return torch.ones(4, 4, device=x.device)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda m, x: product(m.body(x), ones(x)), "archcheck_tests::product"),
        (lambda m, x: torch.ops.archcheck_tests.product(m.body(x), ones(x)), "archcheck_tests::product"),
        (lambda m, x: torch.ops.archcheck_tests.product.default(m.body(x), ones(x)), "archcheck_tests::product"),
        (lambda m, x: product(m.body(x), ones(x)) * x.sum().item(), "archcheck_tests::product"),
        (lambda m, x: doubled(m.body(x)), "archcheck_tests::doubled"),
        (lambda m, x: m.body(x) @ x[0], "aten::mv"),
        (lambda m, x: torch.dot(m.body(x)[0], x[0]), "aten::dot"),
        (lambda m, x: torch.fft.rfft(torch.cdist(m.body(x), x)), "aten::_cdist_forward aten::_fft_r2c"),
        (lambda m, x: F.bilinear(m.body(x), x, torch.ones(2, 4, 4)), "aten::_trilinear"),
        (lambda m, x: torch.sparse.mm(torch.eye(4).to_sparse(), m.body(x).T), "aten::_sparse_addmm"),
        (lambda m, x: torch.linalg.inv(ones(x)) + m.body(x)[:1], "aten::linalg_inv_ex"),
        (lambda m, x: torch.linalg.cross(m.body(x)[:, :3], x[:, :3]) / torch.linalg.norm(x), ""),
        (lambda m, x: torch.outer(m.body(x)[0], x[0]).cumsum(0), ""),
        (lambda m, x: F.grid_sample(m.body(x).view(-1, 1, 2, 2), x.view(-1, 1, 2, 2), align_corners=False), ""),
    ],
)
def test_operations_without_a_formula_are_named(function: Forward, names: str) -> None:
    trace = traced(function, body=linear)

    assert trace.forwards[0].crash is None
    assert trace.uncounted == tuple(names.split())
    assert trace.macs == 16  # those of `body`, as FlopCounterMode has it


def test_common_networks_leave_nothing_uncounted() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    net = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten(), nn.Unflatten(1, (1, 4)), layer, nn.LSTM(4, 4))

    assert trace_model(net, TWO).uncounted == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_quantized_layers_are_named() -> None:
    def make() -> nn.Module:
        quantize: Any = torch.ao.quantization.quantize_dynamic
        quantized: nn.Module = quantize(nn.Sequential(linear(), nn.ReLU()), {nn.Linear}, dtype=torch.qint8)
        return quantized

    trace = trace_structure(make, TWO)

    assert trace.uncounted == ("quantized::linear_dynamic",)
    assert (trace.fallback_reason or "").startswith("no meta kernel: quantized::linear_dynamic")


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("lengths", [[5, 5, 5], [5, 3, 2]], ids=["equal", "different"])
def test_packed_sequences_count_their_rows(kind: Any, gates: int, lengths: list[int]) -> None:
    def forward(m: Any, x: Tensor) -> Any:
        return m.layer(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0].data

    def make() -> nn.Module:
        return Net(forward, layer=kind(4, 6, num_layers=2, bidirectional=True))

    trace = trace_structure(make, [ForwardInput((TensorInput((3, 5, 4)),))])

    # two directions, in each of them input and hidden state; the second layer sees both directions of the first
    assert trace.macs == sum(lengths) * gates * 6 * 2 * ((4 + 6) + (12 + 6))
    assert (trace.device, trace.uncounted) == ("cpu", ())


def test_generator_that_nobody_consumes_is_named() -> None:
    def forward(m: Any, x: Tensor) -> Iterator[Tensor]:
        yield m.body(x)

    trace = traced(forward, body=linear)

    assert trace.forwards[0].output == OpaqueRecord("generator")
    assert (trace.macs, trace.uncounted) == (0, ("generator",))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript_functions_are_counted() -> None:
    script: Any = torch.jit.script
    scripted = script(scripted_product)

    trace = traced(lambda m, x: m.body(scripted(x, m.body.weight)), body=linear)

    assert (trace.device, trace.macs) == ("meta", 16 + 16)


def scripted_product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


@pytest.mark.parametrize("device", [None, "meta"], ids=["CPU", "input's"])
def test_causal_mask_needs_no_values(device: Any) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=device)
        out: Tensor = m.encoder(x, mask=mask)
        return out

    def make() -> nn.Module:
        return Net(forward, encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2))

    trace = trace_structure(make, [batch(2, 5, 8), batch(3, 5, 8)])

    assert trace.device == "meta"
    assert trace.forwards[1].output == TensorRecord((3, 5, 8))
    # projections in and out, scores and values (masked ones are computed as well), two linear layers
    assert trace.macs == 2 * (5 * 8 * 8 * 4 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16)


# ---------------------------------------------------------------------------------------------- crashes


def test_crash_keeps_what_came_before_and_says_where() -> None:
    trace = traced(lambda m, x: m.tail(m.head(x)), head=linear, tail=lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 2)))

    forward = trace.forwards[0]
    assert [(call.name, call.output is None) for call in forward.calls] == [
        ("", True),
        ("head", False),
        ("tail", True),
        ("tail.0", False),
        ("tail.1", True),
    ]
    assert forward.crash is not None
    assert forward.crash.module == "tail.1"
    assert "mat1 and mat2 shapes cannot be multiplied (2x4 and 6x2)" in forward.crash.error
    assert forward.crash.error.startswith("RuntimeError: ")
    assert (forward.crash.where or "").rpartition(":")[0].endswith("test_trace.py")
    assert trace.macs is None
    assert trace.device == "meta"


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda m, x: F.conv2d(x, torch.ones(2, 3, 1, 1)), (1, 1, 4)),
        (lambda m, x: F.conv2d(x, torch.ones(2, 1, 3, 3)), (1, 1, 4)),
        (lambda m, x: F.linear(x, torch.ones(2, 6), torch.ones(2)), (4,)),
        (lambda m, x: F.linear(x, torch.ones(2, 4).double()), (4,)),
        (lambda m, x: F.linear(x.long(), torch.ones(2, 4)), (4,)),
        (lambda m, x: F.conv_transpose2d(x, torch.ones(3, 1, 2, 2)), (1, 1, 4)),
        (lambda m, x: F.conv2d(x, torch.ones(2, 1, 1, 1), torch.ones(3)), (1, 1, 4)),
        (lambda m, x: x @ torch.ones(3, 4), (4,)),
        (lambda m, x: x.view(3, 5), (4,)),
        (lambda m, x: x.transpose(1, 2).view(-1), (3, 4)),
        (lambda m, x: x + torch.ones(3), (4,)),
        (lambda m, x: F.batch_norm(x, torch.ones(3), torch.ones(3)), (4,)),
        (lambda m, x: F.layer_norm(x, (5,)), (4,)),
        (lambda m, x: torch.cat([x, x[0]]), (4,)),
        (lambda m, x: torch.stack([x, x[:, :2]]), (4,)),
        (lambda m, x: F.max_pool2d(x, 2), (1, 1, 4)),
        (lambda m, x: F.softmax(x, 3), (4,)),
    ],
)
def test_crash_message_is_what_torch_says_of_real_tensors(function: Forward, shape: tuple[int, ...]) -> None:
    try:
        function(None, torch.zeros(2, *shape))
    except (RuntimeError, IndexError) as error:
        expected = f"{type(error).__name__}: {str(error).splitlines()[0]}"

    crash = traced(function, [batch(2, *shape)]).forwards[0].crash

    assert crash is not None
    assert crash.error == expected


def test_error_that_the_network_handles_is_no_crash() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        try:
            return m.wrong(x)
        except RuntimeError:
            return m.right(x)

    trace = traced(forward, wrong=lambda: nn.Linear(5, 5), right=linear)

    assert trace.forwards[0].crash is None
    assert trace.macs == 16


def test_crash_after_a_handled_error_names_the_module_at_fault() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        try:
            m.wrong(x)
        except RuntimeError:
            raise ValueError("in the parent") from None

    crash = traced(forward, wrong=lambda: nn.Linear(5, 5)).forwards[0].crash

    assert crash is not None
    assert (crash.module, crash.error) == ("", "ValueError: in the parent")


def test_crash_at_one_size_leaves_the_others() -> None:
    trace = traced(lambda m, x: m.body(x).view(2, 2, 2), body=linear)

    assert [forward.crash is None for forward in trace.forwards] == [True, False]
    assert trace.macs == 16


def test_endless_recursion_is_a_crash_and_harms_nothing_after_it() -> None:
    crash = traced(lambda m, x: m(x)).forwards[0].crash

    assert crash is not None
    assert crash.error.startswith("RecursionError: maximum recursion depth exceeded")
    assert traced(lambda m, x: m.body(x), body=linear).device == "meta"
    assert torch.zeros(2).relu().device.type == "cpu"


def test_exit_is_a_crash_and_ctrl_c_is_not() -> None:
    crash = traced(lambda m, x: sys.exit("no such size")).forwards[0].crash

    assert crash is not None
    assert crash.error == "SystemExit: no such size"
    with pytest.raises(KeyboardInterrupt, match="stop"):
        traced(lambda m, x: interrupt())


def interrupt() -> None:
    raise KeyboardInterrupt("stop")


def test_crash_within_our_own_files_is_at_the_users_line() -> None:
    def forward(m: Net, x: Tensor) -> Any:
        return parse_target("")

    crash = traced(forward).forwards[0].crash

    assert crash is not None
    assert crash.where == f"{shown(__file__)}:{forward.__code__.co_firstlineno + 1}"


# ---------------------------------------------------------------------------------------------- state


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


# ---------------------------------------------------------------------------------------------- gradients and values


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: torch.autograd.grad(m.body(x.requires_grad_()).sum(), x)[0],
        lambda m, x: (m.body(x).sum().backward(), x)[1],
    ],
    ids=["grad", "backward"],
)
def test_forward_that_differentiates_stays_on_meta(function: Forward) -> None:
    trace = traced(function, body=linear)

    assert (trace.device, trace.forwards[0].output) == ("meta", TensorRecord((2, 4)))
    assert trace.macs == 16 + 16  # forward, and one product backward: by x or by the weight


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: m.body(x) if x.sum().item() > 1e9 else m.body(m.body(x)), "needs values: Tensor.item()"),
        (lambda m, x: m.body(m.body(x) if x.sum() < 1e9 else x), "needs values: Tensor.item()"),
        (lambda m, x: m.body(m.body(torch.from_numpy(x.numpy()))), "needs values: Tensor.numpy()"),
        (lambda m, x: m.body(m.body(x + torch.tensor(x.tolist()))), "needs values: a copy of a tensor's values"),
        (lambda m, x: (x.nonzero(), m.body(m.body(x))), "data-dependent: aten.nonzero"),
        (lambda m, x: (x[x > 0], m.body(m.body(x))), "data-dependent: aten.nonzero"),
        (lambda m, x: (x.unique(), m.body(m.body(x))), "data-dependent: aten.unique2"),
        (lambda m, x: m.body(doubled(m.body(x))), "no meta kernel: archcheck_tests::doubled"),
    ],
    ids=["item", "bool", "numpy", "tolist", "nonzero", "mask", "unique", "custom"],
)
def test_values_are_had_on_the_cpu(function: Forward, reason: str) -> None:
    trace = traced(function, body=linear)

    assert trace.device == "cpu"
    line = function.__code__.co_firstlineno
    assert trace.fallback_reason == f"{reason} ({shown(__file__)}:{line})"
    assert trace.macs == 32


def test_reason_that_nobody_foresaw_is_cut_short() -> None:
    def forward(m: Net, x: Tensor) -> Any:
        if x.is_meta:
            raise ValueError("no\n".join("word " * 99))
        return m.body(x)

    reason = traced(forward, body=linear).fallback_reason or ""

    assert reason.startswith("on meta: ValueError: w")
    assert len(reason.partition(" (")[0]) <= 120


def test_error_of_a_custom_operation_is_a_crash() -> None:
    crash = traced(lambda m, x: refusing(x)).forwards[0].crash

    assert crash is not None
    assert crash.error == "ValueError: not today"


def test_cpu_fallback_counts_what_fused_kernels_hide() -> None:
    def make() -> nn.Module:
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        return Net(lambda m, x: m.lstm(m.layer(x))[0] * float(x.sum()), layer=layer, lstm=nn.LSTM(8, 6))

    trace = trace_structure(make, [ForwardInput((TensorInput((3, 5, 8)),))])

    attention = 15 * 8 * 8 * 4 + 3 * 5 * 5 * 8 * 2
    assert trace.device == "cpu"
    assert trace.macs == attention + 15 * 8 * 16 * 2 + 15 * 4 * 6 * (8 + 6)
    assert "layer.linear1" in [call.name for call in trace.forwards[0].calls]


def test_error_on_both_is_reported_as_on_meta() -> None:
    def forward(m: Net, x: Tensor) -> Any:
        raise ValueError("needs 5 features\nand more")

    trace = traced(forward)

    assert (trace.device, trace.fallback_reason) == ("meta", None)
    assert trace.forwards[0].crash is not None
    assert trace.forwards[0].crash.error == "ValueError: needs 5 features"


def test_big_network_is_not_run_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archcheck.structure.trace, "MAX_REAL_BYTES", 10)

    crash = traced(lambda m, x: m.body(x) * x.sum().item(), body=linear).forwards[0].crash

    assert crash is not None
    assert crash.error.endswith("cannot be called on meta tensors (not tried on the CPU: 0 GiB of parameters)")


def test_constants_made_on_the_cpu_join_in() -> None:
    trace = traced(
        lambda m, x: m.body(x) * torch.arange(4) + torch.tensor([1.0, 2, 3, 4]) + m.mask,
        body=linear,
        mask=lambda: torch.tril(torch.tensor([[1.0] * 4])),
    )

    assert (trace.device, trace.forwards[0].output) == ("meta", TensorRecord((2, 4)))


def test_values_written_to_the_cpu_are_not_lost() -> None:
    def forward(m: Net, x: Tensor) -> Tensor:
        counts = torch.tensor([0.0] * 4)
        counts[:] = x.abs().sum(0)
        return m.body(x) if counts[0].item() > 0 else x

    trace = traced(forward, body=linear)

    assert (trace.device, trace.macs) == ("cpu", 16)


def test_devices_are_all_meta() -> None:
    def make() -> nn.Module:
        body = nn.Linear(4, 4, device="cuda:0").to("cuda").cuda()
        return Net(lambda m, x: m.body(x.cuda()).cpu().to("cuda", torch.float64).to(device="cuda:1"), body=body)

    assert trace_structure(make, TWO).forwards[0].output == TensorRecord((2, 4), "float64")


def test_function_transforms() -> None:
    trace = traced(lambda m, x: torch.vmap(lambda row: F.relu(m.body(row)))(x), body=linear)

    assert (trace.device, trace.forwards[0].output) == ("meta", TensorRecord((2, 4)))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript_runs_on_the_cpu() -> None:
    trace = trace_structure(lambda: torch.jit.script(nn.Sequential(linear(), nn.ReLU())), TWO)

    assert (trace.device, trace.fallback_reason) == ("cpu", "TorchScript runs for real")
    assert (trace.root.num_params, trace.modules["0"].type_name, trace.macs) == (20, "Linear", 16)


def test_compiled_networks_run_as_written() -> None:
    compiled: Any = torch.compile
    whole = trace_structure(lambda: compiled(nn.Sequential(linear(), nn.ReLU())), TWO)
    part = trace_structure(lambda: nn.Sequential(compiled(linear()), nn.ReLU()), TWO)

    assert list(whole.modules) == ["", "0", "1"]
    assert (whole.macs, part.macs) == (16, 16)


# ---------------------------------------------------------------------------------------------- building


def test_constructor_that_reads_values() -> None:
    def make() -> nn.Module:
        widths = [int(width) for width in torch.linspace(4, 8, 3)]
        return nn.Sequential(nn.Linear(4, widths[1]), nn.Linear(6, int(torch.ones(5).sum().item())))

    trace = trace_structure(make, TWO)

    assert (trace.device, trace.root.num_params) == ("meta", 30 + 35)


def test_constructor_with_weights_made_the_old_way() -> None:
    trace = traced(lambda m, x: x @ m.weight, weight=lambda: nn.Parameter(torch.Tensor(4, 6)))

    assert (trace.device, trace.root.num_params, trace.macs) == ("meta", 24, 24)


def test_build_leaves_nothing_with_the_layers() -> None:
    encoder = build_on_meta(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3))

    assert not [name for name, module in encoder.named_modules() if "reset_parameters" in vars(module)]
    assert all(param.is_meta for param in encoder.parameters())


def test_layer_with_an_initialisation_of_its_own_runs_it() -> None:
    class Scaled(nn.Linear):
        def reset_parameters(self) -> None:
            super().reset_parameters()
            self.scale = nn.Parameter(torch.ones(self.out_features))

    assert trace_structure(lambda: Scaled(4, 4), TWO).root.num_params == 24


def test_network_with_a_random_generator_of_its_own() -> None:
    class Seeded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(3)
            self.weight = nn.Parameter(torch.randn(4, 4, generator=self.generator))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight * torch.randn(4, generator=self.generator) * x.sum().item()

    net = Seeded()
    state = net.generator.get_state()

    assert trace_structure(Seeded, TWO).macs == trace_model(net, TWO).macs == 16
    assert torch.equal(net.generator.get_state(), state)


def test_errors_of_the_constructor_pass_through() -> None:
    def make() -> nn.Module:
        raise BuildError("no such width")

    with pytest.raises(BuildError, match="no such width"):
        trace_structure(make, TWO)
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        trace_structure(lambda: nn.Linear(4, 4, width=3), TWO)  # type: ignore[call-arg]


def test_wrapped_error_of_meta_is_tried_for_real() -> None:
    def make() -> nn.Module:
        try:
            return nn.Linear(4, int(torch.ones(5).sum()))
        except RuntimeError as error:
            raise BuildError("building failed") from error

    assert trace_structure(make, TWO).root.num_params == 25


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(BuildError, match=r"the build returned int, expected torch\.nn\.Module"):
        trace_structure(lambda: 3, TWO)  # type: ignore[arg-type, return-value]


# ---------------------------------------------------------------------------------------------- live networks


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


# ---------------------------------------------------------------------------------------------- the caller's world


def world() -> list[Any]:
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
    ]


def spoiling() -> nn.Module:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    return Net(lambda m, x: m.body(x) * (torch.randperm(4)[0].item() + x.sum().item()), body=linear())


def test_global_state_is_restored() -> None:
    before = world()

    trace_structure(spoiling, [batch(2, 4, dtype="float64")])

    assert world() == before


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "context",
    [torch.no_grad, torch.inference_mode, lambda: torch.device("meta"), lambda: default_dtype(torch.float64)],
    ids=["no_grad", "inference_mode", "default_device", "default_dtype"],
)
@pytest.mark.parametrize("name", ["meta", "cpu", "grad"])
def test_works_within_the_callers_settings(name: str, context: Callable[[], Any]) -> None:
    functions: dict[str, Forward] = {
        "meta": lambda m, x: m.body(x),
        "cpu": lambda m, x: m.body(x) if x.sum().item() < 1e9 else x,
        "grad": lambda m, x: torch.autograd.grad(m.body(x.requires_grad_()).sum(), x)[0],
    }
    with ExitStack() as stack:
        stack.enter_context(context())
        before = world()
        dtype = str(torch.get_default_dtype()).removeprefix("torch.")
        trace = traced(functions[name], [batch(2, 4, dtype=dtype)], body=linear)
        after = world()

    assert trace.forwards[0].crash is None
    assert trace.forwards[0].output == TensorRecord((2, 4), dtype)
    assert trace.device == ("cpu" if name == "cpu" else "meta")
    assert after == before


def test_threads_trace_at_the_same_time() -> None:
    def trace_width(width: int) -> tuple[int, int | None]:
        trace = trace_structure(lambda: nn.Sequential(*(nn.Linear(width, width) for _ in range(20))), [batch(2, width)])
        return trace.root.num_params, trace.macs

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(trace_width, range(1, 40)))

    assert results == [(20 * (width * width + width), 20 * width * width) for width in range(1, 40)]


def test_common_networks_import_nothing_more() -> None:
    code = """
        import sys
        import torch
        from torch import nn
        before = set(sys.modules)
        from archcheck.spec.inputs import ForwardInput, TensorInput
        from archcheck.structure.trace import trace_structure
        def lenet():
            return nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                nn.BatchNorm2d(16), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Dropout(),
                nn.Linear(120, 10))
        trace = trace_structure(lenet, [ForwardInput((TensorInput((2, 1, 28, 28)),), sizes={"B": 2})])
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(trace.root.num_params, sorted(new & {"archcheck", "numpy", "sympy", "torch", "torchvision", "triton"}))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )

    assert result.stderr == ""
    # 156 + 2,416 + 32 + 48,120 + 1,210
    assert result.stdout == "51934 ['archcheck']\n"
