"""Batches of a user's data set, fetched item by item."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from archcheck.data import streaming
from archcheck.data.streaming import BatchRequest, fetch_batch, fetch_first_item, stream_batches, to_loss_dtype
from archcheck.errors import DataError
from archcheck.system.processors import num_cpus
from tests.unit.data.noisy_dataset import Noisy


class Pairs(Dataset[Any]):
    """The item of an index is ([index, 10 * index], index / 2)."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        return torch.tensor([index, 10.0 * index]), index / 2


def test_the_items_of_a_batch_are_stacked() -> None:
    inputs, targets = fetch_batch(Pairs(), BatchRequest([3, 1], 0))
    assert inputs.tolist() == [[3.0, 30.0], [1.0, 10.0]]
    assert (targets.dtype, targets.tolist()) == (torch.float32, [1.5, 0.5])


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (
            [(torch.zeros(1, 4), 0), (torch.zeros(1, 3), 0)],
            r"the input of item 0 is \[1, 4\], that of item 1 is .*",
        ),
        ([(torch.zeros(1), [1, 2]), (torch.zeros(1), None)], "the target of item 0 is a list, that of item 1 is None"),
        ([({"a": torch.zeros(1)}, 0), ({"a": torch.zeros(2)}, 0)], "RuntimeError: .*"),
    ],
)
def test_items_that_do_not_stack_are_told_by_what_differs(items: Any, told: str) -> None:
    with pytest.raises(DataError, match=f"^the items of a batch can't be stacked: {told}$"):
        fetch_batch(items, BatchRequest([0, 1], 0))


def test_the_first_item_is_a_batch_of_one() -> None:
    inputs, targets = fetch_first_item(Pairs())
    assert (inputs.tolist(), targets.tolist()) == ([[0.0, 0.0]], [0.0])


def test_a_batch_draws_by_its_own_seed() -> None:
    first, again, other = (fetch_batch(Noisy(), BatchRequest([0, 1], seed))[0] for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_come_in_the_order_of_their_requests(num_workers: int) -> None:
    requests = [BatchRequest(indices, 0) for indices in ([5, 4], [0], [2, 3])]
    batches = stream_batches(Pairs(), requests, num_workers, pin_memory=False)
    assert [targets.tolist() for _, targets in batches] == [[2.5, 2.0], [0.0], [1.0, 1.5]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.uint8, torch.int64), (torch.int32, torch.int64), (torch.bool, torch.int64),
        (torch.float64, torch.float32), (torch.float32, torch.float32), (torch.float16, torch.float16),
    ],
)  # fmt: skip
def test_targets_have_the_type_that_losses_take(given: torch.dtype, expected: torch.dtype) -> None:
    assert to_loss_dtype(torch.ones(2, dtype=given)).dtype == expected


def test_data_sets_that_cannot_travel_are_fetched_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert streaming.choose_num_workers(Noisy(), 10) == (min(4, num_cpus()) if sys.platform == "linux" else 0)
    monkeypatch.setattr(streaming, "_start_method", lambda: "spawn")
    assert streaming.choose_num_workers(Noisy(), 10) == 0
    assert streaming.choose_num_workers(TensorDataset(torch.zeros(3)), 1) == 1


@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_interrupt_while_workers_are_started_leaves_none(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are sent when all workers run, and the first of them may be at work by then."""
    give, given = _MultiProcessingDataLoaderIter._try_put_index, list[int]()

    def give_or_stop(self: Any) -> None:
        given.append(1)
        if len(given) == at:
            raise KeyboardInterrupt
        give(self)

    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_try_put_index", give_or_stop)
    with pytest.raises(KeyboardInterrupt) as kept:
        next(stream_batches(Pairs(), [BatchRequest([0, 1], 0)] * 6, 2, pin_memory=False))
    assert multiprocessing.active_children() == []
    assert kept.tb is not None
