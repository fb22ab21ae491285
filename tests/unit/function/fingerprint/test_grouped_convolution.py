"""Convolutions of many groups in one product: torch's own results, gradients and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from archcheck.function.fingerprint import grouped_convolution as grouped

CASES: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": (2, 0), "dilation": (1, 2)},
    {"stride": (2,), "padding": [1]},
    {"padding": "same"},
    {"padding": "valid", "stride": 2},
]


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def results(function: Any, data: Tensor, weight: Tensor, *args: Any, **options: Any) -> list[Tensor]:
    out = function(data, weight, *args, **options)
    return [out, *torch.autograd.grad(out.square().sum(), [data, weight])]


@pytest.fixture
def unfolded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was computed in one product."""
    calls, unfold = list[Any](), functional.unfold

    def noted(*args: Any) -> Tensor:
        calls.append(args)
        return unfold(*args)

    monkeypatch.setattr(functional, "unfold", noted)
    return calls


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("width", [3, 6], ids=["depthwise", "in pairs"])
def test_images_come_out_as_torch_computes_them(options: dict[str, Any], width: int, unfolded: list[Any]) -> None:
    groups, bias = (6 if width == 3 else 3), numbers(12)
    data, weight = numbers(2, 6, 9, 8), numbers(12, 6 // groups, 3, 3)
    ours = results(grouped.conv2d, data, weight, bias, groups=groups, **options)
    theirs = results(functional.conv2d, data, weight, bias, groups=groups, **options)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert bool(unfolded) == (not isinstance(options.get("padding"), str))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 3}, {"padding": (2,), "dilation": 2}], ids=str)
def test_sequences_come_out_as_torch_computes_them(options: dict[str, Any], unfolded: list[Any]) -> None:
    data, weight = numbers(2, 6, 20), numbers(6, 1, 4)
    ours = results(grouped.conv1d, data, weight, groups=6, **options)
    theirs = results(functional.conv1d, data, weight, groups=6, **options)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert unfolded


@pytest.mark.parametrize(
    ("data", "weight", "groups"),
    [
        (numbers(2, 6, 9, 9), numbers(6, 6, 3, 3), 1),
        (numbers(2, 6, 90, 90), numbers(6, 1, 3, 3), 6),
        (numbers(6, 9, 9), numbers(6, 1, 3, 3), 6),
        (numbers(2, 6, 9, 9).float(), numbers(6, 1, 3, 3).float(), 6),
    ],
    ids=["one group", "a large image", "no batch", "single precision"],
)
def test_torch_does_what_it_does_as_fast(data: Tensor, weight: Tensor, groups: int, unfolded: list[Any]) -> None:
    assert torch.equal(grouped.conv2d(data, weight, groups=groups), functional.conv2d(data, weight, groups=groups))
    assert not unfolded


def test_a_kernel_larger_than_the_image_is_torchs_error() -> None:
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        grouped.conv2d(numbers(2, 6, 2, 2), numbers(6, 1, 3, 3), groups=6)
