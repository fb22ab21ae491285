"""What a step costs: counted by hand, by another counter, and on a real CPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from archcheck.cost.measure import measure_cost
from archcheck.cost.plan import resolve_cost_plan
from archcheck.errors import NotMeasured
from archcheck.structure.trace import trace_structure
from tests.unit.cost.measuring import cost_of, figures, measured, measured_with_values, spec_of

SGD_WITH_MOMENTUM = "{name: SGD, lr: 0.1, momentum: 0.9}"


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


class TestByHand:
    """An MLP 8-16-4 in float32 on 2 examples: 128 + 16 + 64 + 4 = 212 parameters."""

    def test_inference_holds_weights_input_and_two_activations(self) -> None:
        record = cost_of(mlp, "{batch_size: 2, mode: inference}")
        assert record.memory_by_kind == {"parameters": 4 * 212, "inputs": 4 * 2 * 8, "activations": 2 * 4 * 2 * 16}

    def test_inference_reads_and_writes_each_operand_once(self) -> None:
        first, act, last = (16 + 2 * 8 + 128 + 2 * 16), 2 * (2 * 16), (4 + 2 * 16 + 64 + 2 * 4)
        assert cost_of(mlp, "{batch_size: 2, mode: inference}").traffic == 4 * (first + act + last)

    def test_views_launch_nothing(self) -> None:
        views = lambda: nn.Sequential(nn.Linear(8, 8), nn.Unflatten(1, (2, 4)), nn.Flatten())  # noqa: E731
        assert cost_of(views, "{batch_size: 2, mode: inference}").operations == 1

    def test_adam_holds_two_moments_and_a_step_of_each_parameter(self) -> None:
        state = cost_of(mlp, "{batch_size: 2, optimizer: Adam}").memory_by_kind["optimizer"]
        assert state == 4 * (2 * 212 + 4)

    def test_plain_sgd_holds_nothing(self) -> None:
        assert "optimizer" not in cost_of(mlp).memory_by_kind

    def test_multiply_adds_of_forward_and_backward(self) -> None:
        """Two products of each forward's in the backward pass, but none for the gradient of the input."""
        record = measured(spec_of("tests.unit.cost.test_measure:mlp", cost="{batch_size: 2}"), with_macs=True)
        assert dict(record.macs) == {("matmul", "float32"): 2 * (2 * 128 + 3 * 64)}


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5))


@pytest.mark.parametrize(("make", "shape"), [(mlp, (2, 8)), (convolutional, (2, 3, 8, 8))])
def test_forward_and_backward_are_those_of_a_traced_graph(make: Any, shape: tuple[int, ...]) -> None:
    """Another counter: the operations in the graph that torch.fx writes of the step, with the sizes of their values."""
    network = make().train()
    network.requires_grad_()
    parameters, buffers = dict(network.named_parameters()), dict(network.named_buffers())

    def step(parameters: Any, buffers: Any, x: Tensor) -> Any:
        out = torch.func.functional_call(network, {**parameters, **buffers}, (x,))
        return torch.autograd.grad(out.square().mean(), list(parameters.values()))

    graph = make_fx(step)(parameters, buffers, torch.randn(shape)).graph
    nodes = [
        node for node in graph.nodes if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload)
    ]
    working = [node for node in nodes if _works(node)]
    record = cost_of(make, f"{{batch_size: {shape[0]}}}", f"[B, {', '.join(map(str, shape[1:]))}]")
    updates = len(parameters)  # an `add_` of each parameter, which reads it and its gradient, and writes it
    assert record.operations == len(working) + updates
    update_bytes = sum(3 * 4 * one.numel() for one in parameters.values())
    assert record.traffic == sum(map(_moved, working)) + update_bytes


def _works(node: Any) -> bool:
    is_view = any(one.alias_info is not None and not one.alias_info.is_write for one in node.target._schema.returns)
    return not is_view and not str(node.target).startswith("aten.empty")


def _moved(node: Any) -> int:
    """Return the bytes of a node's distinct arguments and results; a filled tensor reads nothing."""
    given = [] if str(node.target).startswith("aten.ones_like") else [one.meta["val"] for one in node.all_input_nodes]
    results = node.meta["val"] if isinstance(node.meta["val"], (tuple, list)) else [node.meta["val"]]
    return sum(
        value[tuple(map(_first_if_repeated, value.stride()))].nbytes
        for value in [*given, *results]
        if value is not None
    )


def _first_if_repeated(stride: int) -> slice:
    return slice(None) if stride else slice(0, 1)


ON_A_CPU = [
    ("archcheck.zoo.lenet:lenet5", "[B, 1, 28, 28]"),
    ("archcheck.zoo.resnet:resnet18_d2l", "[B, 1, 64, 64]"),
    ("torchvision:mobilenet_v3_small", "[B, 3, 64, 64]"),
    ("torchvision:efficientnet_b0", "[B, 3, 64, 64]"),
    ("torchvision:shufflenet_v2_x0_5", "[B, 3, 64, 64]"),
    pytest.param("torchvision:swin_t", "[B, 3, 64, 64]", marks=pytest.mark.skipif(
        torch.__version__.startswith("2.11."), reason="torch 2.11 copies a kernel's gradient on meta alone",
    )),
]  # fmt: skip


@pytest.mark.parametrize("cost", [
    "{batch_size: 2}",
    "{batch_size: 2, optimizer: {name: Adam}, precision: bf16}",
    f"{{batch_size: 3, optimizer: {SGD_WITH_MOMENTUM}}}",
    "{batch_size: 2, mode: inference, precision: bf16}",
    "{batch_size: 2}\ntraining: {dataset: digits, memory_format: channels_last}",
])  # fmt: skip
@pytest.mark.parametrize(("build", "shape"), ON_A_CPU, ids=lambda one: one.rpartition(":")[2])
def test_a_step_without_values_is_one_on_a_cpu_to_the_byte(build: str, shape: str, cost: str) -> None:
    spec_file = spec_of(build, shape, cost)
    record = measured(spec_file)
    assert record.fallback_reason is None
    assert figures(record) == figures(measured_with_values(spec_file))


class Attending(nn.Module):
    """A recurrent layer, attention and a transformer's layer, for which torch has other kernels on other devices."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.recurrent = nn.LSTM(8, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens) + torch.arange(8, device=tokens.device)
        x, _ = self.recurrent(x)
        x, _ = self.attention(x, x, x, need_weights=False)
        out: Tensor = self.layer(x)
        return out


@pytest.mark.parametrize("mode", ["train", "inference"])
def test_attention_and_recurrent_layers_take_the_kernels_of_a_cpu(mode: str) -> None:
    spec_file = spec_of(
        "tests.unit.cost.test_measure:Attending",
        "{shape: [B, 5], dtype: int64, below: 50}",
        f"{{batch_size: 2, mode: {mode}}}",
    )
    record = measured(spec_file)
    assert record.fallback_reason is None
    assert figures(record) == figures(measured_with_values(spec_file))
    assert "mkldnn_rnn_layer" in record.layers["recurrent"].operations


class Deciding(nn.Module):
    """A network that reads a value of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x)
        return out if out.sum().item() < 1e9 else out * 2


def test_a_network_that_reads_values_is_measured_with_values_and_its_waits_are_counted() -> None:
    record = cost_of(Deciding)
    assert record.fallback_reason is not None
    assert record.fallback_reason.startswith("needs values: Tensor.item() (tests/unit/cost/test_measure.py:")
    (wait,) = record.waits
    assert (wait.layer, wait.what, wait.times) == ("", ".item()", 1)
    assert wait.line is not None
    assert wait.line[0].endswith("test_measure.py")


def test_an_optimizer_that_counts_its_steps_on_the_host_waits_for_nothing() -> None:
    assert cost_of(Deciding, "{batch_size: 2, optimizer: Adam}").syncs == 1


class Copying(nn.Module):
    """A network that brings its output to the host."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cpu()


def test_a_copy_to_the_host_is_a_wait_though_nothing_happens_on_a_cpu() -> None:
    record = cost_of(Copying, "{batch_size: 2, mode: inference}")
    assert [(wait.what, wait.times) for wait in record.waits] == [(".cpu()", 1)]


class Recomputing(nn.Module):
    """Blocks of which the backward pass computes what they hand to the next one again."""

    def __init__(self, is_recomputed: bool = True) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 8)) for _ in range(3))
        self.is_recomputed = is_recomputed

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.is_recomputed else block(x)
        return x


def test_a_checkpoint_keeps_less_and_runs_twice() -> None:
    recomputed = cost_of(Recomputing, "{batch_size: 64}")
    kept = cost_of(partial(Recomputing, is_recomputed=False), "{batch_size: 64}")
    assert recomputed.memory_by_kind["activations"] < kept.memory_by_kind["activations"]
    assert (recomputed.layers["blocks.1.0"].calls, kept.layers["blocks.1.0"].calls) == (2, 1)


def test_operations_of_the_backward_pass_belong_to_the_layers_of_the_forward_pass() -> None:
    layers = cost_of(mlp).layers
    assert layers["0"].operations == {"addmm": 1, "mm": 1, "sum": 1, "add_": 2}  # the input gets no gradient
    assert layers["1"].operations == {"relu": 1, "threshold_backward": 1}
    assert layers["2"].operations == {"addmm": 1, "mm": 2, "sum": 1, "add_": 2}


def test_stand_ins_left_over_refuse_to_be_used() -> None:
    kept: list[Tensor] = []

    class Leaking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            kept.append(x)
            return x + 1

    cost_of(Leaking, "{batch_size: 2, mode: inference}")
    with pytest.raises(NotImplementedError, match="a tensor without values, left over from a measurement of cost"):
        kept[-1] + 1


def looked_up() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten())


@pytest.mark.parametrize(
    ("make", "shape", "optimizer", "reason"),
    [
        (mlp, "[B, 8]", "LBFGS", r"needs values: Tensor.item\(\)"),
        (looked_up, "{shape: [B, 5], dtype: int64, below: 50}", "SparseAdam", "SparseTensorImpl"),
    ],
)
def test_an_optimizer_that_needs_values_is_run_with_them(
    make: Callable[[], nn.Module], shape: str, optimizer: str, reason: str
) -> None:
    record = cost_of(make, f"{{batch_size: 2, optimizer: {optimizer}}}", shape)
    assert record.fallback_reason is not None
    assert re.search(reason, record.fallback_reason)
    assert record.operations > 0


class Moving(nn.Module):
    """A network that writes to a view, of which the gradient takes two more operations."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x).view(-1, 4).relu_() * 2
        return out


def test_a_view_that_is_written_to_costs_what_it_does_on_a_cpu() -> None:
    spec_file = spec_of("tests.unit.cost.test_measure:Moving", cost="{batch_size: 2}")
    record = measured(spec_file)
    assert record.fallback_reason is None
    assert record.layers[""].operations["new_zeros"] == 1
    assert figures(record) == figures(measured_with_values(spec_file))


def test_a_network_that_others_hold_is_as_it_was_afterwards() -> None:
    network = mlp()
    before = {name: (id(value), value.clone()) for name, value in network.state_dict(keep_vars=True).items()}
    cost_of(lambda: network, "{batch_size: 2, optimizer: Adam}")
    after = network.state_dict(keep_vars=True)
    assert {name: id(value) for name, value in after.items()} == {name: one for name, (one, _) in before.items()}
    assert all(torch.equal(after[name], value) for name, (_, value) in before.items())
    assert all("forward" not in vars(module) for module in network.modules())


def test_a_network_too_large_for_values_is_not_measured() -> None:
    plan = resolve_cost_plan(spec_of("nets:net", cost="{batch_size: 2}").spec)
    trace = trace_structure(Deciding, [plan.inputs])
    root = replace(trace.root, num_params=3 * 2**30)
    with pytest.raises(NotMeasured, match=r"Tensor\.item\(\).*: with values, its parameters would take 12 GiB"):
        measure_cost(Deciding, replace(trace, modules={**trace.modules, "": root}), plan)
