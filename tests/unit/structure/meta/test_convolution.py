"""Convolutions: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812

from archcheck.structure.meta.convolution import _conv_forgets_layout
from archcheck.structure.meta.counting import CountingMode, UnreadCounter
from tests.unit.structure.meta.calls import IMAGE, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2), ((2, 4, 9), (6, 4, 3))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=(1, 0)), (IMAGE, (4, 6, 3, 3), (4,))),
    "conv2d same": (lambda x, w: F.conv2d(x, w, padding="same", dilation=2), (IMAGE, (4, 6, 2, 3))),
    "conv2d depthwise": (lambda x, w: F.conv2d(x, w, groups=6), (IMAGE, (12, 1, 3, 3))),
    "conv2d grouped": (lambda x, w: F.conv2d(x, w, groups=2, dilation=2), (IMAGE, (4, 3, 3, 3))),
    "conv2d of one image": (F.conv2d, ((6, 8, 8), (4, 6, 3, 3))),
    "conv3d": (F.conv3d, ((2, 3, 4, 5, 6), (4, 3, 2, 2, 2))),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2), ((2, 4, 5), (4, 3, 3))),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, groups=2, dilation=2),
        (IMAGE, (6, 2, 3, 3)),
    ),
    "conv_transpose3d": (F.conv_transpose3d, ((2, 3, 4, 5, 6), (3, 2, 2, 2, 2))),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)


def test_asking_torch_about_layouts_is_not_counted() -> None:
    _conv_forgets_layout.cache_clear()
    counter = UnreadCounter()
    with CountingMode(counter):
        _conv_forgets_layout()
    assert counter.macs == 0
