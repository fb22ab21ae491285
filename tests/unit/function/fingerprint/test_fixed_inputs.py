"""The fixed inputs that a network gets."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from tests.unit.function.running import Computed, recorded


def test_the_input_has_variance_one_and_ids_stay_below_their_bound() -> None:
    seen: dict[str, Tensor] = {}

    def forward(net: Any, x: Tensor, ids: Tensor) -> Any:
        seen.update(x=x.detach().clone(), ids=ids)
        return x

    recorded(
        lambda: Computed(forward), {"x": [50, 40], "ids": {"shape": [2000], "dtype": "int64", "below": 7}}, train=False
    )
    assert float(seen["x"].pow(2).mean()) == pytest.approx(1, rel=0.1)
    assert sorted(set(seen["ids"].tolist())) == list(range(7))
