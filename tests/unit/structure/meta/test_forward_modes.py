"""Operations without a shortcut: as in the ordinary meta forward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.unit.structure.meta.calls import IMAGE, ROWS, Call, Layout, assert_call_equals_plain_meta, in_every_layout

CALLS: dict[str, Call] = {
    "glu": (F.glu, (ROWS,)),
    "instance_norm": (F.instance_norm, (IMAGE,)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 2), (IMAGE,)),
    "einsum": (lambda x, y: torch.einsum("bhid,bhjd->bhij", x, y), ((2, 3, 4, 5), (2, 3, 6, 5))),
    "tensordot": (lambda x, y: torch.tensordot(x, y, 1), (ROWS, (6, 2))),
    "bilinear form": (F.bilinear, ((3, 4), (3, 5), (2, 4, 5))),
    "cdist": (torch.cdist, ((2, 30, 4), (2, 40, 4))),
    "unfold and fold": (lambda x: F.fold(F.unfold(x, 3), (8, 8), 3), (IMAGE,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), ((2, 8, 3, 3),)),
    "affine grid": (lambda x, t: F.grid_sample(x, F.affine_grid(t, [2, 6, 8, 8])), (IMAGE, (2, 2, 3))),
}


@in_every_layout
@pytest.mark.parametrize("name", CALLS)
def test_call_equals_plain_meta(name: str, layout: Layout) -> None:
    assert_call_equals_plain_meta(CALLS[name], layout)
