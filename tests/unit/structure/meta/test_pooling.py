"""Pools and resizing: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812

from tests.unit.structure.meta.calls import IMAGE, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (IMAGE,)),
    "max_pool2d with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
    "max_pool1d dilated": (lambda x: F.max_pool1d(x, 2, dilation=2), ((2, 3, 9),)),
    "max_pool3d": (lambda x: F.max_pool3d(x, (1, 2, 2)), ((2, 3, 4, 5, 6),)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1, ceil_mode=True), ((2, 3, 8),)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), stride=(2, 1)), (IMAGE,)),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), ((2, 3, 4, 5, 6),)),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (None, 3)), (IMAGE,)),
    "nearest": (lambda x: F.interpolate(x, scale_factor=1.5), (IMAGE,)),
    "bilinear": (lambda x: F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True), (IMAGE,)),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
