"""Matrix products: as in the ordinary meta forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from archcheck.structure.meta.counting import UnreadCounter
from archcheck.structure.meta.forward_modes import ForwardMode
from tests.unit.structure.meta.calls import ROWS, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "linear": (F.linear, (ROWS, (4, 6), (4,))),
    "linear of a vector": (F.linear, ((6,), (4, 6))),
    "matmul": (torch.matmul, ((2, 3, 4, 5), (2, 3, 5, 6))),
    "matmul with one matrix": (lambda x, y: x @ y, (ROWS, (6, 2))),
    "matmul broadcast": (torch.matmul, ((4, 1, 2, 3), (5, 3, 2))),
    "matrix and vector": (torch.matmul, ((4, 3), (3,))),
    "mm": (torch.mm, ((4, 3), (3, 2))),
    "bmm": (torch.bmm, ((2, 4, 3), (2, 3, 5))),
    "addmm": (torch.addmm, ((2,), (4, 3), (3, 2))),
    "baddbmm": (lambda x, a, b: torch.baddbmm(x, a, b, alpha=0.5), ((2, 4, 5), (2, 4, 3), (2, 3, 5))),
}

OFFSETS = torch.tensor([4, 16], dtype=torch.int32)


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)


def grouped(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


GROUPED = {
    "of rows": (grouped(16, 32), grouped(2, 32, 8), OFFSETS),
    "of transposed matrices": (grouped(16, 32), grouped(2, 8, 32).mT, OFFSETS),
    "with rows to spare": (grouped(20, 32), grouped(2, 32, 8), OFFSETS),
}
REFUSED_GROUPED = {
    "as many offsets as matrices": (grouped(16, 32), grouped(3, 32, 8), OFFSETS),
    "offsets of 32 bits": (grouped(16, 32), grouped(2, 32, 8), OFFSETS.long()),
    "rows as long as columns": (grouped(16, 28), grouped(2, 32, 8), OFFSETS),
    "rows of whole 16 bytes": (grouped(16, 32), grouped(2, 32, 7), OFFSETS),
    "single or half precision": (*(grouped(*shape, dtype=torch.float64) for shape in ((16, 32), (2, 32, 8))), OFFSETS),
}


@pytest.mark.parametrize("function", [F.grouped_mm, torch._grouped_mm])
@pytest.mark.parametrize("name", GROUPED)
def test_groups_of_rows_come_out_as_on_the_cpu(name: str, function: Any) -> None:
    rows, matrices, offsets = GROUPED[name]
    counter = UnreadCounter()
    with ForwardMode(counter):
        ours = function(rows.to("meta"), matrices.to("meta"), offs=offsets.to("meta"))
    theirs = function(rows, matrices, offs=offsets)

    assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)
    assert counter.macs == len(rows) * 32 * 8


@pytest.mark.parametrize("name", REFUSED_GROUPED)
def test_groups_of_rows_are_refused_as_on_the_cpu(name: str) -> None:
    rows, matrices, offsets = REFUSED_GROUPED[name]
    with pytest.raises(RuntimeError) as theirs:
        F.grouped_mm(rows, matrices, offs=offsets)
    with pytest.raises(RuntimeError) as ours, ForwardMode(UnreadCounter()):
        F.grouped_mm(rows.to("meta"), matrices.to("meta"), offs=offsets.to("meta"))

    assert str(ours.value) == str(theirs.value)
