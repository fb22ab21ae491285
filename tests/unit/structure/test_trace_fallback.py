"""What happens when meta will not do: gradients, values, the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import archcheck.structure.trace
from archcheck.errors import BuildError, UsageError
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.records import OpaqueRecord, TensorRecord
from archcheck.structure.trace import trace_model, trace_structure
from tests.unit.structure.traced_networks import (
    TWO,
    Forward,
    Net,
    batch,
    doubled,
    linear,
    refusing,
    shown,
    traced,
)


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


def grouped(m: Net, x: Tensor) -> Any:
    """An expert for every eight rows."""
    rows = torch.arange(8, 8 * len(x) + 8, 8, dtype=torch.int32)
    return torch._grouped_mm(x.flatten(0, 1), m.body.expand(len(x), 8, 8), offs=rows)


@torch.library.custom_op("archcheck_tests::picky", mutates_args=())
def picky(x: Tensor) -> Tensor:
    return x * 2


@picky.register_fake
def _(x: Tensor) -> Tensor:
    if x.dtype is not torch.bfloat16:
        raise RuntimeError("Expected x to be BFloat16")
    return torch.empty_like(x)


def autocast_off(m: Net, x: Tensor) -> Any:
    with torch.autocast(x.device.type, enabled=False):
        return m.body(x)


def autocast_on(m: Net, x: Tensor) -> Any:
    with torch.amp.autocast(x.device.type, dtype=torch.bfloat16):
        return m.body(x)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: picky(m.body(x)), "on meta: RuntimeError: Expected x to be BFloat16"),
        (autocast_off, "on meta: RuntimeError: unsupported scalarType"),
        (autocast_on, "needs values: User specified an unsupported autocast device_type 'meta'"),
    ],
    ids=["kernel", "autocast off", "autocast on"],
)
def test_what_only_meta_refuses_runs_on_the_cpu(function: Forward, reason: str) -> None:
    trace = traced(function, body=linear)

    assert (trace.device, trace.died, trace.macs) == ("cpu", None, 16)
    assert (trace.fallback_reason or "").startswith(reason)


def test_a_mixture_of_experts_in_single_precision_runs_on_meta() -> None:
    trace = traced(grouped, [batch(2, 8, 8), batch(3, 8, 8)], body=lambda: nn.Parameter(torch.zeros(1, 8, 8)))

    assert (trace.device, trace.died) == ("meta", None)
    assert trace.forwards[0].output == TensorRecord((16, 8))
    assert trace.macs == 8 * 8 * 8
    assert trace.uncounted == ()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda m, x: m.body(x).view(7, 3), "shape '[7, 3]' is invalid for input of size 8"),
        (lambda m, x: m.body(x).add_(x.new_ones(3)), "The size of tensor a (4) must match the size of tensor b (3) at"),
        (lambda m, x: torch.cdist(m.body(x), x.new_ones(3, 5)), "X1 and X2 must have the same number of columns."),
        (lambda m, x: nn.GRU(9, 3)(m.body(x)), "input.size(-1) must be equal to input_size. Expected 9, got 4"),
    ],
    ids=["view", "in place", "cdist", "by hand"],
)
def test_what_the_cpu_refuses_too_is_the_networks_fault(function: Forward, error: str) -> None:
    trace = traced(function, body=linear)

    assert (trace.device, trace.fallback_reason) == ("meta", None)
    assert trace.forwards[0].crash is not None
    assert trace.forwards[0].crash.error.startswith(f"RuntimeError: {error}")


def test_a_shape_that_does_not_fit_costs_no_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archcheck.structure.trace, "build_on_cpu", None)

    trace = traced(lambda m, x: m.head(m.body(x)), body=linear, head=lambda: nn.Linear(2**14, 2**13))

    assert trace.forwards[0].crash is not None
    assert trace.forwards[0].crash.error.endswith("mat1 and mat2 shapes cannot be multiplied (2x4 and 16384x8192)")


def test_a_network_that_calls_itself_is_told() -> None:
    trace = traced(lambda m, x: m(x))

    assert trace.device == "meta"
    assert trace.forwards[0].crash is not None
    assert trace.forwards[0].crash.error.startswith("RecursionError: maximum recursion depth exceeded")


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


def test_layers_on_jagged_tensors_are_counted_by_what_they_run() -> None:
    def ragged(m: Net, x: Tensor) -> Any:
        rows = torch.nested.as_nested_tensor([one[: 2 + i % 2] for i, one in enumerate(x)], layout=torch.jagged)
        return m.body(rows).to_padded_tensor(0.0, output_size=(len(x), 5, 4))

    trace = traced(ragged, [batch(2, 5, 4), batch(4, 5, 4)], body=linear)

    assert (trace.device, trace.died) == ("meta", None)
    assert trace.forwards[0].output == TensorRecord((2, 5, 4))
    assert [forward.macs for forward in trace.forwards] == [5 * 16, 10 * 16]


def test_attention_on_jagged_tensors_runs_and_is_not_counted() -> None:
    def ragged(m: Net, x: Tensor) -> Any:
        rows = torch.nested.as_nested_tensor(list(m.body(x)), layout=torch.jagged)
        heads = rows.view(len(x), -1, 2, 2).transpose(1, 2)
        return F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2).values()

    trace = traced(ragged, [batch(2, 5, 4), batch(3, 5, 4)], body=linear)

    assert trace.died is None
    assert trace.forwards[0].output == TensorRecord((10, 4))
    assert trace.uncounted == ("aten::matmul",)


def test_outputs_without_sizes_are_known_by_their_kind() -> None:
    jagged = traced(lambda m, x: torch.nested.as_nested_tensor(list(x), layout=torch.jagged))
    nested = traced(lambda m, x: torch.nested.as_nested_tensor(list(x)))
    sparse = traced(lambda m, x: x.to_sparse())

    assert jagged.forwards[0].output == OpaqueRecord("NestedTensor")
    assert nested.forwards[0].output == OpaqueRecord("nested Tensor")
    assert sparse.forwards[0].output == TensorRecord((2, 4))


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_sparse_buffers_stay_what_they_are(layout: str) -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("adj", getattr(torch.eye(4), layout)())
            self.fc = linear()

        def forward(self, x: Tensor) -> Tensor:
            assert isinstance(self.adj, Tensor)
            out: Tensor = torch.sparse.mm(self.adj, self.fc(x))
            return out

    nodes = [ForwardInput((TensorInput((4, 4)),))]
    for trace in (trace_structure(Graph, nodes), trace_model(Graph(), nodes)):
        assert trace.died is None
        assert trace.forwards[0].output == TensorRecord((4, 4))
        assert trace.root.num_buffers == 16
        assert [call.name for call in trace.forwards[0].calls] == ["", "fc"]


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_buffers_stay_what_they_are(layout: torch.layout) -> None:
    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            bags = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=layout)
            self.register_buffer("bags", bags)
            self.fc = linear()

        def forward(self, x: Tensor) -> Tensor:
            assert isinstance(self.bags, Tensor)
            out: Tensor = self.fc(x) + self.bags.unbind()[1].sum()
            return out

    for trace in (trace_structure(Bags, TWO), trace_model(Bags(), TWO)):
        assert trace.died is None
        assert (trace.root.num_params, trace.root.num_buffers) == (20, 20)


def test_sparse_parameters_are_counted() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.adj = nn.Parameter(torch.eye(4).to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.adj, x) if x.sum() < 1e9 else x

    trace = trace_structure(Weighted, [ForwardInput((TensorInput((4, 4)),))])
    assert (trace.died, trace.root.num_params) == (None, 16)


class Wrapped(nn.Module):
    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program, self.drop = program, nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.program(self.drop(x))
        return out


@pytest.mark.parametrize("form", ["module", "unflattened", "inside another"])
def test_an_exported_program_is_a_network(form: str) -> None:
    def make() -> nn.Module:
        program = torch.export.export(nn.Sequential(linear(), nn.ReLU()).eval(), (torch.zeros(2, 4),))
        if form == "unflattened":
            return torch.export.unflatten(program)
        return program.module() if form == "module" else Wrapped(program.module())

    fixed = [ForwardInput((TensorInput((2, 4)),))]

    built, live = trace_structure(make, fixed), trace_model(make(), fixed)

    assert built.forwards == live.forwards
    assert (built.died, built.root.num_params, built.macs, built.uncounted) == (None, 20, 2 * 16, ())
    assert built.forwards[0].output == TensorRecord((2, 4))


def test_function_transforms() -> None:
    trace = traced(lambda m, x: torch.vmap(lambda row: F.relu(m.body(row)))(x), body=linear)

    assert (trace.device, trace.forwards[0].output) == ("meta", TensorRecord((2, 4)))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript_runs_on_the_cpu() -> None:
    trace = trace_structure(lambda: torch.jit.script(nn.Sequential(linear(), nn.ReLU())), TWO)

    assert (trace.device, trace.fallback_reason) == ("cpu", "TorchScript runs for real")
    assert (trace.root.num_params, trace.modules["0"].type_name, trace.macs) == (20, "Linear", 16)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript_s_reason_is_told() -> None:
    # It reads a comment for mypy beside it as that of a type.
    script_method: Callable[[Callable[..., Tensor]], Callable[..., Tensor]] = vars(torch.jit)["script_method"]

    class Scripted(torch.jit.ScriptModule):
        @script_method
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x[0]], dim=1)

    crash = trace_structure(Scripted, TWO).forwards[0].crash
    assert crash is not None
    assert "must have same number of dimensions" in crash.error


def test_compiled_networks_run_as_written() -> None:
    compiled: Any = torch.compile
    whole = trace_structure(lambda: compiled(nn.Sequential(linear(), nn.ReLU())), TWO)
    part = trace_structure(lambda: nn.Sequential(compiled(linear()), nn.ReLU()), TWO)

    assert list(whole.modules) == ["", "0", "1"]
    assert (whole.macs, part.macs) == (16, 16)


class Locked(nn.Linear):
    """Holds what can't be copied, and weights that aren't made on meta."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.lock = threading.Lock()
        self.weight = nn.Parameter(torch.from_numpy(np.ones((4, 4), dtype=np.float32)))


def test_a_network_that_cant_be_copied_is_built_and_runs_on_the_cpu() -> None:
    trace = trace_structure(Locked, [batch(2, 4)])

    assert trace.device == "cpu"
    assert trace.fallback_reason == "Locked can't be copied (TypeError: cannot pickle '_thread.lock' object)"
    assert trace.forwards[0].output == TensorRecord((2, 4))


def test_somebodys_own_network_that_cant_be_copied_does_not_run() -> None:
    own = Locked()
    with pytest.raises(UsageError, match=r"can't be copied .*; give a callable that builds it instead"):
        trace_structure(lambda: own, [batch(2, 4)])


class Refusing(nn.Parameter):
    """Refuses torch's functions, as parameters on a manifold do whose numbers are elsewhere."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in ("__get__", "__set__"):  # what is asked of an attribute
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        raise TypeError(f"no {func.__name__} on this")


def test_parameters_that_cant_be_counted_are_told_in_one_line() -> None:
    def make() -> nn.Module:
        network = nn.Linear(4, 4)
        network.curved = Refusing(torch.ones(2))
        return network

    with pytest.raises(BuildError, match=r"^Linear has parameters that can't be counted \(TypeError: no numel"):
        trace_structure(make, [batch(2, 4)])
