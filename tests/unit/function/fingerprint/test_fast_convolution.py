"""Convolutions in double precision, computed otherwise: torch's own results, gradients and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.function.fingerprint import fast_convolution as fast

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
    ours = results(fast.conv2d, data, weight, bias, groups=groups, **options)
    theirs = results(functional.conv2d, data, weight, bias, groups=groups, **options)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert bool(unfolded) == (not isinstance(options.get("padding"), str))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 3}, {"padding": (2,), "dilation": 2}], ids=str)
def test_sequences_come_out_as_torch_computes_them(options: dict[str, Any], unfolded: list[Any]) -> None:
    data, weight = numbers(2, 6, 20), numbers(6, 1, 4)
    ours = results(fast.conv1d, data, weight, groups=6, **options)
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
    assert torch.equal(fast.conv2d(data, weight, groups=groups), functional.conv2d(data, weight, groups=groups))
    assert not unfolded


def test_a_kernel_larger_than_the_image_is_torchs_error() -> None:
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        fast.conv2d(numbers(2, 6, 2, 2), numbers(6, 1, 3, 3), groups=6)


# ----------------------------------------------------------------------------------------- large images


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was computed without unfolding."""
    calls, by_moved_images = list[Any](), fast._by_moved_images

    def noted(*args: Any) -> Tensor:
        calls.append(args)
        return by_moved_images(*args)

    monkeypatch.setattr(fast, "_by_moved_images", noted)
    return calls


@pytest.mark.parametrize("bias", [None, numbers(24).detach()], ids=["no bias", "bias"])
@pytest.mark.parametrize(
    ("kernel", "padding"), [((3, 3), 1), ((3, 3), 0), ((5, 2), (2, 1)), ((1, 7), [0, 3]), ((7, 1), (3,))], ids=str
)
def test_large_images_come_out_as_torch_computes_them(
    kernel: tuple[int, int], padding: Any, bias: Tensor | None, moved: list[Any]
) -> None:
    data, weight = numbers(2, 16, 61, 67).detach(), nn.Parameter(numbers(24, 16, *kernel).detach())
    with torch.no_grad():
        ours = fast.conv2d(data, weight, bias, padding=padding)
        theirs = functional.conv2d(data, weight, bias, padding=padding)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert ours.is_contiguous()
    assert moved


class Own(Tensor):
    """A tensor of somebody's own kind."""


LARGE, KERNEL = numbers(1, 16, 60, 60).detach(), numbers(4, 16, 3, 3).detach()


@pytest.mark.parametrize(
    ("data", "weight", "options"),
    [
        (LARGE, KERNEL, {"stride": 2}),
        (LARGE, KERNEL, {"dilation": 2}),
        (LARGE, KERNEL, {"padding": "same"}),
        (LARGE, KERNEL.clone().requires_grad_(), {}),
        (LARGE.float(), KERNEL.float(), {}),
        (LARGE[0], KERNEL, {}),
        (LARGE[..., :30, :30], KERNEL, {}),
        (LARGE[:, :8], KERNEL[:, :8], {}),
        (LARGE, KERNEL[..., :1, :1], {}),
        (LARGE.as_subclass(Own), KERNEL, {}),
    ],
    ids=["stride", "dilation", "same", "gradients", "float32", "unbatched", "small", "few", "1x1", "subclass"],
)
def test_torch_computes_what_is_no_slower_or_needs_it(
    data: Tensor, weight: Tensor, options: dict[str, Any], moved: list[Any]
) -> None:
    assert torch.equal(fast.conv2d(data, weight, **options), functional.conv2d(data, weight, **options))
    assert not moved


def test_torch_maps_over_images(moved: list[Any]) -> None:
    many = torch.stack([LARGE, -LARGE])
    ours, theirs = (torch.vmap(one, in_dims=(0, None))(many, KERNEL) for one in (fast.conv2d, functional.conv2d))
    assert torch.equal(ours, theirs)
    assert not moved


def test_what_does_not_fit_is_told_by_torch(moved: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="to have 8 channels, but got 16 channels instead"):
        fast.conv2d(LARGE, KERNEL[:, :8])
    assert not moved
