"""Questions about meta tensors: layouts, broadcasting, options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archcheck.structure.meta.tensors import (
    as_tuple,
    broadcast,
    elementwise_strides,
    is_packed,
    is_param,
    is_plain,
    is_plain_standard,
    is_standard,
    is_transformed,
    new,
    new_like,
    standard_strides,
)
from tests.unit.structure.meta.calls import meta


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (2, 1, 4)])
def test_standard_strides_are_those_of_a_new_tensor(shape: tuple[int, ...]) -> None:
    assert standard_strides(shape) == meta(*shape).stride() == new(shape, torch.float32).stride()


def test_a_size_of_0_has_no_strides() -> None:
    assert standard_strides((2, 0)) is None


@pytest.mark.parametrize(
    "x",
    [meta(2, 3, 4), meta(2, 3, 4).permute(2, 0, 1), torch.cat([meta(2, 3), meta(2, 3)], 1).narrow(1, 0, 3)],
    ids=["standard", "permuted", "gapped"],
)
def test_elementwise_strides_are_those_of_torch(x: Tensor) -> None:
    assert elementwise_strides(x.shape, x.stride()) == torch.exp(x).stride() == new_like(x).stride()


def test_layouts_that_are_not_plain_to_see_are_declined() -> None:
    assert new_like(meta(1, 3).expand(2, 3)) is NotImplemented


def test_plain_tensors_are_floats_on_meta() -> None:
    assert is_plain(meta(2))
    assert is_plain(torch.nn.Parameter(meta(2)))
    for other in (torch.ones(2), meta(2, dtype=torch.int64), 3.0, None):
        assert not is_plain(other)
    assert is_plain_standard(meta(2, 3))
    assert not is_plain_standard(meta(2, 3).t())


def test_layouts() -> None:
    assert is_standard(meta(2, 3))
    assert not is_standard(meta(2, 3).t())
    assert is_packed(meta(2, 3).t())
    assert not is_packed(meta(4, 3).narrow(1, 0, 2))


def test_a_parameter_fits_by_dtype_and_shape() -> None:
    x = meta(2, 3)
    assert is_param(None, x, 3)
    assert is_param(meta(3), x, 3)
    assert not is_param(meta(4), x, 3)
    assert not is_param(meta(3, dtype=torch.float64), x, 3)


@pytest.mark.parametrize(("a", "b"), [((2, 3), (3,)), ((1, 3), (2, 1)), ((), (4,)), ((5, 1, 2), (4, 1))])
def test_shapes_broadcast_as_in_torch(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    expected = tuple((meta(*a) + meta(*b)).shape)
    assert broadcast(a, b) == broadcast(b, a) == expected


def test_shapes_that_do_not_broadcast() -> None:
    assert broadcast((2,), (3,)) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, (2, 2)), ((1, 2), (1, 2)), ([1, 2], (1, 2)), ([3], (3, 3)), ([1, 2, 3], None), ("ab", None), (1.5, None)],
)
def test_options_as_tuples(value: Any, expected: tuple[int, ...] | None) -> None:
    assert as_tuple(value, 2) == expected


def test_function_transforms_are_seen() -> None:
    seen: list[bool] = []

    def noting(x: Tensor) -> Tensor:
        seen.append(is_transformed())
        return x

    torch.vmap(noting)(torch.ones(2))
    assert (seen, is_transformed()) == ([True], False)
