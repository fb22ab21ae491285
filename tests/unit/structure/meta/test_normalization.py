"""Normalisation: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812

from tests.unit.structure.meta.calls import IMAGE, ROWS, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "batch_norm": (lambda x, m, v: F.batch_norm(x, m, v), (IMAGE, (6,), (6,))),
    "batch_norm in training": (lambda x: F.batch_norm(x, None, None, training=True), (IMAGE,)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (6,), w, b), (ROWS, (6,), (6,))),
    "rms_norm": (lambda x, w: F.rms_norm(x, (6,), w), (ROWS, (6,))),
    "group_norm": (lambda x, w: F.group_norm(x, 3, w, w), (IMAGE, (6,))),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
