"""The multiply-adds of a trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

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
    product,
    traced,
)


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
        (lambda m, x: torch.fft.irfft(torch.fft.rfft(m.body(x))), "aten::_fft_c2r aten::_fft_r2c"),
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


def test_what_other_threads_run_is_not_counted_and_said() -> None:
    def branches(m: Net, x: Tensor) -> Any:
        with ThreadPoolExecutor(2) as pool:
            a, b = pool.map(lambda scale: m.body(x) @ torch.ones(4, 4, device=x.device) * scale, (1, 2))
        return a + b

    profile = threading.getprofile()
    trace = traced(branches, body=linear)

    assert trace.forwards[0].output == TensorRecord((2, 4))
    assert trace.uncounted == ("other threads",)
    assert threading.getprofile() is profile


def test_a_progress_bars_thread_multiplies_nothing() -> None:
    def shown(m: Net, x: Tensor) -> Any:
        Thread(target=int, daemon=True).start()
        return m.body(x)

    assert traced(shown, body=linear).uncounted == ()


def test_sizes_of_numpy_give_plain_numbers() -> None:
    conv = nn.Conv1d(4, 8, 3)
    conv.kernel_size = (np.int64(3),)  # type: ignore[assignment]
    conv.groups = np.int64(1)  # type: ignore[assignment]
    trace = trace_structure(lambda: conv, [ForwardInput((TensorInput((2, 4, 9)),), sizes={"B": 2})])
    assert type(trace.macs) is int
    assert trace.macs == 8 * 4 * 3 * 7
