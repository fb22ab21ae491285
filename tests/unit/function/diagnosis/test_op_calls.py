"""Operations that are run once more with other operands: nothing is read or written beyond these."""

from __future__ import annotations

import pytest
import torch

from archcheck.function.diagnosis.op_calls import OpCall

WEIGHT = torch.arange(1.0, 61.0).reshape(4, 3, 5)


@pytest.mark.parametrize(("shape", "dim"), [((4, 1, 1), 0), ((1, 1, 5), 2), ((1, 3, 1), 1)])
def test_weight_norm_is_run_with_a_magnitude_for_each_slice(shape: tuple[int, ...], dim: int) -> None:
    magnitude = torch.arange(1.0, 1.0 + max(shape)).reshape(shape)
    others = [axis for axis in range(3) if axis != dim]
    expected = WEIGHT * magnitude / WEIGHT.pow(2).sum(others, keepdim=True).sqrt()
    torch.testing.assert_close(OpCall(torch._weight_norm, (WEIGHT, magnitude, dim), {}).run(), expected)


@pytest.mark.parametrize(("shape", "dim"), [((2, 1, 1), 0), ((8, 1, 1), 0), ((1, 1, 3), 2)])
def test_weight_norm_whose_magnitudes_are_too_few_or_many_is_not_run(shape: tuple[int, ...], dim: int) -> None:
    with pytest.raises(ValueError, match=r"^\d slices have \d magnitudes$"):
        OpCall(torch._weight_norm, (WEIGHT, torch.ones(shape), dim), {}).run()
