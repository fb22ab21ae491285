"""Matrix products: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

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


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
