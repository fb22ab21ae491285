"""What torch's own errors tell of the input that they refuse: each is raised here, as releases differ in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.discovery import refused_sizes
from archcheck.discovery.layers import intake_of


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("call", "actual", "expected"),
    [
        (lambda: nn.Linear(7, 2)(torch.zeros(2, 14)), 14, 7),
        (lambda: nn.Conv1d(5, 2, 1)(torch.zeros(2, 3, 9)), 3, 5),
        (lambda: torch.zeros(2, 12) + torch.zeros(2, 4), 12, 4),
        (lambda: nn.LayerNorm(6)(torch.zeros(2, 9)), 9, 6),
        (lambda: nn.LSTM(5, 2)(torch.zeros(3, 2, 8)), 8, 5),
        (lambda: nn.BatchNorm1d(4)(torch.zeros(3, 6)), 6, 4),
    ],
)
def test_sizes_are_read(call: Callable[[], Any], actual: int, expected: int) -> None:
    assert (actual, expected) in refused_sizes.refused_sizes(error_of(call), None)


@pytest.mark.parametrize(
    ("call", "rank"),
    [
        (lambda: nn.Conv2d(3, 2, 1)(torch.zeros(2, 9)), 4),
        (lambda: [0 for _, _, _ in [torch.zeros(2, 9).shape]], 3),
        (lambda: torch.zeros(2).sum(1), 2),
    ],
)
def test_numbers_of_dimensions_are_read(call: Callable[[], Any], rank: int) -> None:
    assert refused_sizes.refused_ranks(error_of(call)) == [rank]


def unpack_an_image_and_its_device(image: torch.Tensor) -> tuple[Any, Any]:
    b, c, h, w, *_, device = *image.shape, image.device
    return (b, c, h, w), device


def test_how_many_dimensions_are_missing_is_read_where_more_than_sizes_is_unpacked() -> None:
    assert refused_sizes.refused_rank_changes(error_of(lambda: unpack_an_image_and_its_device(torch.zeros(2, 9)))) == [
        2
    ]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: nn.Embedding(4, 2)(torch.zeros(2)), "whole"),
        (lambda: torch.zeros(4)[torch.zeros(2)], "whole"),
        (lambda: torch.zeros(2, 4).gather(1, torch.zeros(2, 1)), "whole"),
        (lambda: nn.Linear(3, 2)(torch.zeros(2, 3, dtype=torch.int64)), "real"),
        (lambda: torch.view_as_real(torch.zeros(2)), "complex"),
        (lambda: nn.Linear(4, 3).double()(torch.zeros(2, 4)), "double"),
        (lambda: nn.Conv1d(4, 3, 1).double()(torch.zeros(2, 4, 5)), "double"),
        (lambda: nn.LSTM(4, 3).double()(torch.zeros(2, 5, 4)), "double"),
        (lambda: torch.zeros(2, 4) @ torch.zeros(4, 3).double(), "double"),
        (lambda: nn.GRUCell(4, 3).double()(torch.zeros(2, 4)), "double"),
    ],
)
def test_kinds_of_values_are_read(call: Callable[[], Any], kind: str) -> None:
    assert kind in list(refused_sizes.refused_kinds(error_of(call)))


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_what_is_missing_is_read() -> None:
    empty: dict[str, Any] = {}
    assert refused_sizes.missing_names(error_of(lambda: empty["past"])) == ["past"]
    assert refused_sizes.is_asked_by_name(error_of(lambda: torch.zeros(2, 3)["past"]))  # type: ignore[index]
    assert refused_sizes.misses_argument(error_of(lambda: None + torch.zeros(1)))  # type: ignore[operator]
    assert refused_sizes.is_too_small(error_of(lambda: nn.Conv1d(1, 1, 9)(torch.zeros(1, 1, 4))))
    assert refused_sizes.is_too_small(error_of(lambda: torch.zeros(3).numel() % (3 // 4)))  # windows of 4


def test_a_bound_of_indices_is_the_layer_s() -> None:
    table = nn.Embedding(4, 2)
    error = error_of(lambda: table(torch.tensor([7])))
    assert refused_sizes.index_bound(error, intake_of("", table)) == 4
    assert refused_sizes.index_bound(error_of(lambda: torch.zeros(3)[5]), None) == 3


def test_an_error_that_tells_nothing_is_no_refusal() -> None:
    error = "AssertionError"
    assert refused_sizes.refused_sizes(error, None) == []
    assert refused_sizes.refused_ranks(error) == []
    assert list(refused_sizes.refused_kinds(error)) == []
    assert refused_sizes.missing_names(error) == []
    assert not refused_sizes.misses_argument(error)
