"""Products that `torch.utils.flop_counter` leaves out count as the same sums do, written as products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from archcheck.structure.meta.counting import CountingMode
from archcheck.structure.meta.forward_modes import ForwardMode
from tests.unit.structure.meta.calls import MacCounter

ROWS, COLUMNS, BATCHES = torch.ones(3, 4), torch.ones(4, 5), torch.ones(2, 3, 4)
VECTOR = torch.ones(4)

SAME: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "mv": (lambda: ROWS.mv(VECTOR), lambda: ROWS @ VECTOR[:, None]),
    "matmul": (lambda: BATCHES @ VECTOR, lambda: BATCHES @ VECTOR[:, None].expand(2, 4, 1)),
    "linear": (lambda: F.linear(VECTOR, ROWS, torch.ones(3)), lambda: VECTOR[None] @ ROWS.T),
    "addmv": (lambda: torch.ones(3).addmv(ROWS, VECTOR), lambda: ROWS @ VECTOR[:, None]),
    "dot": (lambda: torch.dot(VECTOR, VECTOR), lambda: VECTOR[None] @ VECTOR[:, None]),
    "vdot": (lambda: torch.vdot(VECTOR, VECTOR), lambda: VECTOR[None] @ VECTOR[:, None]),
    "addbmm": (lambda: torch.ones(3, 3).addbmm(BATCHES, BATCHES.mT), lambda: BATCHES @ BATCHES.mT),
    "addmm_": (lambda: torch.ones(3, 5).addmm_(ROWS, COLUMNS), lambda: ROWS @ COLUMNS),
    "baddbmm_": (lambda: torch.ones(2, 3, 3).baddbmm_(BATCHES, BATCHES.mT), lambda: BATCHES @ BATCHES.mT),
    "conv_tbc": (
        lambda: torch.conv_tbc(torch.ones(6, 2, 4), torch.ones(3, 4, 5), torch.ones(5), pad=1),
        lambda: F.conv1d(torch.ones(2, 4, 6), torch.ones(5, 4, 3), torch.ones(5), padding=1),
    ),
    "bilinear": (  # a linear map of all products of pairs
        lambda: F.bilinear(ROWS, torch.ones(3, 7), torch.ones(5, 4, 7)),
        lambda: F.linear((ROWS[:, :, None] * torch.ones(3, 1, 7)).flatten(1), torch.ones(5, 28)),
    ),
    "bilinear of batches": (
        lambda: F.bilinear(BATCHES, torch.ones(2, 3, 7), torch.ones(5, 4, 7)),
        lambda: F.linear(torch.ones(2, 3, 28), torch.ones(5, 28)),
    ),
    "cdist": (lambda: torch.cdist(ROWS, COLUMNS.T), lambda: ROWS @ COLUMNS),
    "cdist of many": (
        lambda: torch.cdist(torch.ones(2, 30, 4), torch.ones(2, 40, 4)),
        lambda: torch.ones(2, 30, 4) @ torch.ones(2, 4, 40),
    ),
    "grouped": (
        lambda: F.grouped_mm(grouped(2, 16, 32), grouped(2, 32, 8)), lambda: grouped(2, 16, 32) @ grouped(2, 32, 8),
    ),
    "grouped rows": (
        lambda: F.grouped_mm(grouped(16, 32), grouped(2, 32, 8), offs=offsets(4, 16)),
        lambda: grouped(16, 32) @ grouped(32, 8),
    ),
    "grouped columns": (
        lambda: F.grouped_mm(grouped(2, 16, 32), grouped(32, 8), offs=offsets(4, 8)),
        lambda: grouped(16, 32) @ grouped(32, 8),
    ),
    "attention of shared heads": (
        lambda: attention(4, 2), lambda: [eight(6, 16) @ eight(16, 5), eight(6, 5) @ eight(5, 16)],
    ),
}  # fmt: skip


def grouped(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.bfloat16)


def offsets(*ends: int) -> Tensor:
    return torch.tensor(ends, dtype=torch.int32)


def attention(query_heads: int, key_heads: int, *, requires_grad: bool = False) -> Tensor:
    """Return the attention of 6 queries to 5 keys, of 2 examples."""
    query, keys = torch.ones(2, query_heads, 6, 16), torch.ones(2, key_heads, 5, 16)
    query, key, value = (one.clone().requires_grad_(requires_grad) for one in (query, keys, keys))
    return F.scaled_dot_product_attention(query, key, value, enable_gqa=query_heads > key_heads)


def eight(rows: int, columns: int) -> Tensor:
    """Return a matrix for each of 4 heads of 2 examples."""
    return torch.ones(8, rows, columns)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("mode", [CountingMode, ForwardMode])
def test_a_product_counts_as_the_same_sums_do(name: str, mode: Callable[[MacCounter], Any]) -> None:
    function, same = SAME[name]
    counter, flops = MacCounter(), FlopCounterMode(display=False)
    with mode(counter):
        function()
    with flops:
        same()

    assert counter.macs == flops.get_total_flops() // 2 > 0
    assert counter.uncounted == set()


def test_gradients_of_attention_are_what_its_kernel_computes() -> None:
    counter, flops = MacCounter(), FlopCounterMode(display=False)
    with CountingMode(counter):
        attention(4, 4, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
    with flops:
        for _ in range(3):  # scores, these once more, and their gradients
            eight(6, 16) @ eight(16, 5)
        for _ in range(2):  # the output, and the gradients of the queries
            eight(6, 5) @ eight(5, 16)
        for _ in range(2):  # those of the keys, and of the values
            eight(5, 6) @ eight(6, 16)

    assert counter.macs == flops.get_total_flops() // 2


def test_distances_within_rows_count_once_a_pair() -> None:
    counter = MacCounter()
    with CountingMode(counter):
        F.pdist(torch.ones(5, 4))

    assert counter.macs == (5 * 4 // 2) * 4


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: ROWS.norm("nuc"), "aten::_linalg_svd"),
        (lambda: torch.linalg.matrix_norm(ROWS, 2), "aten::_linalg_svd"),
        (lambda: torch.fft.rfft(ROWS), "aten::_fft_r2c"),
        (lambda: torch.linalg.matrix_exp(ROWS @ ROWS.mT), "aten::linalg_matrix_exp"),
    ],
)
def test_what_solves_or_transforms_is_named(function: Callable[[], Any], name: str) -> None:
    counter = MacCounter()
    with ForwardMode(counter):
        function()

    assert counter.uncounted == {name}
