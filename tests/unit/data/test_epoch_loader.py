"""A data loader for a loop that isn't ours: another epoch each time."""

from __future__ import annotations

import torch

from archcheck.data.batches import Batches
from archcheck.data.epoch_loader import EpochLoader
from archcheck.data.splits import ArraySplit
from archcheck.data.transforms import BatchTransform


def loader(*, train: bool) -> EpochLoader:
    split = ArraySplit(torch.arange(10.0).reshape(10, 1), torch.arange(10))
    batches = Batches(
        split, batch_size=4, device="cpu", transform=BatchTransform(), shuffle=train, drop_last=train, seed=0
    )
    return EpochLoader(batches, split)


def labels(of: EpochLoader) -> list[int]:
    return [int(label) for _, targets in of for label in targets]


def test_each_iteration_over_a_training_set_is_another_epoch() -> None:
    train = loader(train=True)
    first, second = labels(train), labels(train)
    assert first != second
    assert len(set(first)) == len(first) == 8  # two batches of four, without the rest
    assert [labels(again) for again in [loader(train=True)]] == [first]


def test_a_test_set_comes_in_order_each_time() -> None:
    test = loader(train=False)
    assert labels(test) == labels(test) == list(range(10))


def test_what_loops_ask_a_loader_for() -> None:
    train = loader(train=True)
    assert (len(train), train.batch_size, len(train.dataset)) == (2, 4, 10)  # type: ignore[arg-type]
