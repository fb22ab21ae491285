"""Whether a test set is the training set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from archcheck.data.same_examples import tests_on_training_set as is_one_set
from archcheck.data.splits import ArraySplit, LoadedDataset, Split


class Items(Dataset[Any]):
    """Examples that a function makes of their positions."""

    def __init__(self, make: Callable[[int], Any], length: int = 40) -> None:
        self.make, self.length = make, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> Any:
        return self.make(position)


def arrays(first: int = 0, length: int = 4) -> ArraySplit:
    return ArraySplit(torch.arange(first, first + length)[:, None].float(), torch.zeros(length, dtype=torch.int64))


def numbers(position: int) -> Any:
    return torch.tensor([position]).numpy(), {"label": position}


SPLIT = Items(lambda _: torch.randn(2))


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        (arrays(), arrays(), True),
        (arrays(), arrays(1), False),
        (arrays(), arrays(length=3), False),
        (Items(numbers), Items(numbers), True),
        (Items(numbers), Items(numbers, 39), False),
        (Items(numbers), Items(lambda position: numbers(position + 1)), False),
        (Items(numbers), Items(lambda position: numbers(max(position, 1))), False),
        (Items(lambda _: torch.randn(2)), Items(lambda _: torch.randn(2)), False),
        (SPLIT, SPLIT, True),
        (arrays(), Items(numbers, 4), False),
    ],
)
def test_the_same_examples_are_known(train: Split, test: Split, expected: bool) -> None:
    assert is_one_set(LoadedDataset("", train, test)) is expected


def test_looking_draws_nothing_and_raises_nothing() -> None:
    def fails(position: int) -> Any:
        torch.rand(1)
        raise KeyError(position)

    before = torch.get_rng_state()
    assert not is_one_set(LoadedDataset("", Items(fails), Items(fails)))
    assert torch.equal(torch.get_rng_state(), before)
