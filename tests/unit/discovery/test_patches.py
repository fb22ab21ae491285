"""The inputs of layers that cut patches, as their authors call them in their documentation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from archcheck.discovery.layers import intakes
from archcheck.discovery.search import find_input


class Cutter(nn.Module):
    """Cuts an input into patches, and adds positions to them."""

    def __init__(self, cut: Rearrange, features: int, *positions: int) -> None:
        super().__init__()
        self.to_patches = nn.Sequential(cut, nn.Linear(features, 8))
        self.pos_embedding = nn.Parameter(torch.zeros(*positions, 8))

    def forward(self, x: Tensor) -> Any:
        patches = self.to_patches(x)
        return patches + self.pos_embedding[..., -patches.shape[-2] :, :]


def vision() -> nn.Module:
    """An image of 96 pixels in 36 patches, beside which a class token has its position."""
    return Cutter(Rearrange("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=16, p2=16), 16 * 16 * 3, 1, 36 + 1)


def channels_last() -> nn.Module:
    return Cutter(Rearrange("b (h p1) (w p2) c -> b (h w) (p1 p2 c)", p1=8, p2=8), 8 * 8 * 5, 1, 25)


def video() -> nn.Module:
    cut = Rearrange("b c (f pf) (h p1) (w p2) -> b f (h w) (p1 p2 pf c)", p1=16, p2=16, pf=2)
    return Cutter(cut, 16 * 16 * 2 * 3, 1, 6, 16)


def signal() -> nn.Module:
    return Cutter(Rearrange("b c (n p) -> b n (p c)", p=10), 10 * 2, 30)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (vision, ["B", 3, 96, 96]),
        (channels_last, ["B", 40, 40, 5]),
        (video, ["B", 3, 12, 64, 64]),
        (signal, ["B", 2, 300]),
    ],
)
def test_a_layer_that_cuts_patches_tells_what_is_cut(make: Any, expected: Any) -> None:
    found = find_input(make, {}).assumption
    assert found is not None
    assert found.value == expected


def test_an_image_without_positions_has_a_few_patches_in_a_row() -> None:
    cut = Rearrange("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=32, p2=32)
    found = find_input(lambda: nn.Sequential(cut, nn.Linear(32 * 32 * 3, 8)), {}).assumption
    assert found is not None
    assert found.value == ["B", 3, 224, 224]


@pytest.mark.parametrize("pattern", ["b n (h d) -> b h n d", "b h n d -> b n (h d)", "b ... (h d) -> b ... h d"])
def test_heads_are_no_patches(pattern: str) -> None:
    known = {} if pattern.startswith("b h") else {"h": 4}
    assert [one.name for one in intakes({"split": Rearrange(pattern, **known), "fc": nn.Linear(8, 8)})] == ["fc"]
