"""Attention: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812

from tests.unit.structure.meta.calls import Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "attention": (F.scaled_dot_product_attention, ((2, 4, 6, 8), (2, 4, 5, 8), (2, 4, 5, 3))),
    "causal attention": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), ((2, 4, 6, 8),)),
    "masked attention": (lambda q, m: F.scaled_dot_product_attention(q, q, q, m), ((2, 4, 6, 8), (6, 6))),
    "grouped-query attention": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        ((2, 4, 6, 8), (2, 2, 6, 8)),
    ),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
