"""The arguments of a forward pass, made of their description."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archcheck.network.arguments import make_arguments, values_in_domain
from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, LiteralInput, TensorInput


def drawn(shape: tuple[int, ...], dtype: str = "float32", **domain: Any) -> Tensor:
    torch.manual_seed(0)
    return values_in_domain(TensorInput(shape, dtype, Domain(**domain)), torch.rand(shape, dtype=torch.float64) * 2 - 1)


def test_literals_are_passed_as_they_are_and_never_shared() -> None:
    options = {"scales": [1, 2]}
    inputs = ForwardInput((TensorInput((2,)), LiteralInput("train")), {"options": LiteralInput(options)})
    args, kwargs = make_arguments(inputs, lambda value: torch.zeros(value.shape), torch.clone)
    assert args[1] == "train"
    assert kwargs["options"] == options
    assert kwargs["options"]["scales"] is not options["scales"]


def test_real_numbers_fill_their_interval() -> None:
    values = drawn((1000,), at_least=3, at_most=5)
    assert (values.min() - 3).abs() < 0.05
    assert (values.max() - 5).abs() < 0.05
    assert drawn((1000,), above=0).min() > 0
    assert drawn((1000,), below=-1).max() < -1


def test_in_ascending_order_the_smallest_is_there_in_short_rows_too() -> None:
    """The first of the offsets of an EmbeddingBag is 0, for however many bags."""
    for length in (1, 2, 3, 4, 9):
        assert drawn((length,), "int64", below=40, order="ascending")[0] == 0


def test_whole_numbers_take_every_value_and_rows_begin_with_the_largest() -> None:
    values = drawn((50, 8), "int64", at_least=1, at_most=4)
    assert set(values.view(-1).tolist()) == {1, 2, 3, 4}
    assert set(values[::2, 0].tolist()) == {4}
    assert drawn((2,), "int64", at_least=1, at_most=9)[0] == 9  # a length, as long as the batch has room for


@pytest.mark.parametrize("shape", [(8, 1), (8, 2), (8, 3), (8,), (1,), (4, 4, 2)])
def test_no_row_of_a_mask_is_all_false(shape: tuple[int, ...]) -> None:
    assert drawn(shape, "bool").bool().view(-1, shape[-1]).any(-1).all()


def test_an_order_is_along_the_last_dimension() -> None:
    assert torch.equal(drawn((3, 9), order="ascending").sort(-1).values, drawn((3, 9), order="ascending"))
    rows = drawn((5, 9), "int64", below=20, order="descending")
    assert (rows[:, 1:] <= rows[:, :-1]).all()
    assert (rows[:, 0] > rows[:, -1]).all()


@pytest.mark.parametrize(("dtype", "domain"), [("int64", {"below": 9}), ("float32", {"at_least": 0, "at_most": 1})])
def test_unique_values_come_once_in_a_row(dtype: str, domain: dict[str, Any]) -> None:
    rows = drawn((20, 9), dtype, unique=True, **domain)
    assert all(len(set(row.tolist())) == 9 for row in rows)
    assert not torch.equal(rows[0], rows[0].sort().values)
    assert rows.min() >= 0
    assert rows.max() <= 8


def test_numbers_with_a_sum_are_positive() -> None:
    rows = drawn((20, 5), sums_to=3.0)
    torch.testing.assert_close(rows.sum(-1), torch.full((20,), 3.0, dtype=torch.float64))
    assert rows.min() > 0


def test_values_of_a_list_are_all_chosen() -> None:
    assert set(drawn((100,), "int64", one_of=(2, 7, 30)).tolist()) == {2, 7, 30}


@pytest.mark.parametrize("domain", [{"sums_to": 2.0}, {"unique": True}, {"order": "ascending"}, {"above": 1}])
def test_a_single_number_has_a_domain_too(domain: dict[str, Any]) -> None:
    assert drawn((), **domain).shape == ()
