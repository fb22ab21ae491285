"""Which arguments a forward asks for, and what kind of thing each is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from torch import Tensor, nn

from archcheck.discovery.arguments import required_arguments


class Named(nn.Module):
    def forward(
        self, x: Tensor, timesteps: Tensor, src_mask: Tensor, step: int, flag: bool, *, y: Any, more: Any = None
    ) -> Tensor:
        return x


class Listed(nn.Module):
    def forward(self, images: list[Tensor], targets: Sequence[dict[str, Tensor]] | None = None) -> Tensor:
        return images[0]


class Optional(nn.Module):
    def forward(self, hidden: Tensor | None = None, other: int = 1) -> Any:
        return hidden


class Anything(nn.Module):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            Named(),
            {"x": "data", "timesteps": "time", "src_mask": "mask", "step": "whole", "flag": "switch", "y": "label"},
        ),
        (Listed(), {"images": "images"}),
        (Optional(), {"hidden": "data"}),
        (Anything(), {"x": "data"}),
        (nn.Sequential(), {"input": "data"}),
    ],
)
def test_what_has_no_default_is_asked_for(network: nn.Module, expected: dict[str, str]) -> None:
    assert {argument.name: argument.kind for argument in required_arguments(network)} == expected
