"""Splits as batches: the same ones however they come, whatever else the process does with random numbers."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from archcheck.data import batches as batches_module
from archcheck.data.batches import Batches
from archcheck.data.splits import ArraySplit, Split
from archcheck.data.transforms import BatchTransform, horizontal_flip
from archcheck.errors import DataError
from tests.unit.data.noisy_dataset import Noisy

NUM = 23


def arrays() -> ArraySplit:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randint(0, 256, (NUM, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return ArraySplit(inputs, torch.arange(NUM))


def make(split: Split, **arguments: Any) -> Batches:
    defaults = {"batch_size": 5, "device": "cpu", "shuffle": True, "drop_last": False, "seed": 0}
    transform = BatchTransform(augmentations=[lambda x, generator: horizontal_flip(x, generator)])
    return Batches(split, **{"transform": transform, **defaults, **arguments})


def targets(batches: Iterable[tuple[Any, Tensor]]) -> list[int]:
    return [int(target) for _, each in batches for target in each]


def assert_same(first: Batches, second: Batches) -> None:
    for epoch in (0, 1):
        pairs = list(zip(first.epoch(epoch), second.epoch(epoch), strict=True))
        assert pairs
        for (inputs, classes), (other_inputs, other_classes) in pairs:
            assert torch.equal(inputs, other_inputs)
            assert torch.equal(classes, other_classes)
            assert (inputs.dtype, classes.dtype) == (other_inputs.dtype, other_classes.dtype)


class Failing(Dataset[Any]):
    def __init__(self, how: str) -> None:
        self.how = how

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        if index != 6:
            return torch.zeros(2), index
        if self.how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "raises":
            raise ValueError("bad\nfile")
        return {"shape": (torch.zeros(3), 0), "single": torch.zeros(2), "text": (torch.zeros(2), "cat")}[self.how]


# ------------------------------------------------------------------------------------------- epochs


def test_an_epoch_has_each_example_once_in_its_own_order() -> None:
    batches = make(arrays())
    first, second = targets(batches.epoch(0)), targets(batches.epoch(1))
    assert sorted(first) == sorted(second) == list(range(NUM))
    assert first != second
    assert first == targets(batches.epoch(0)) == targets(batches)
    assert first != targets(make(arrays(), seed=1).epoch(0))
    assert (batches.num_examples, batches.num_batches, batches.resident) == (23, 5, True)


def test_the_last_batch_is_dropped_where_asked() -> None:
    batches = make(arrays(), drop_last=True)
    assert [len(classes) for _, classes in batches] == [5, 5, 5, 5]
    assert (batches.num_examples, batches.num_batches) == (20, 4)


@pytest.mark.parametrize("split", [arrays(), TensorDataset(arrays().inputs, arrays().targets)])
def test_a_short_epoch_has_other_examples_each_time(split: Split) -> None:
    batches = make(split, drop_last=True, steps_per_epoch=2)
    assert (batches.num_examples, batches.num_batches, len(batches)) == (10, 2, 2)
    epochs = [targets(batches.epoch(epoch)) for epoch in range(8)]
    assert all(len(set(epoch)) == 10 for epoch in epochs)
    assert set().union(*epochs) == set(range(NUM))


def test_an_epoch_cannot_be_longer_than_the_training_set() -> None:
    with pytest.raises(DataError, match=r"the training set has 4 batches of 5, fewer than these"):
        make(arrays(), drop_last=True, steps_per_epoch=5)


@pytest.mark.parametrize("split", [arrays(), TensorDataset(arrays().inputs, arrays().targets)])
def test_in_order_without_shuffling(split: Split) -> None:
    assert targets(make(split, shuffle=False)) == list(range(NUM))


def test_no_batch_at_all() -> None:
    with pytest.raises(DataError, match=r"23 examples, less than a batch of 24"):
        make(arrays(), batch_size=24, drop_last=True)


def test_inputs_may_be_changed_in_place() -> None:
    split = ArraySplit(torch.ones(4, 2), torch.zeros(4))
    for inputs, _ in make(split, shuffle=False):
        inputs.zero_()
    assert split.inputs.min() == 1


def test_label_range() -> None:
    assert make(arrays()).label_range() == (0, 22)
    assert make(ArraySplit(torch.zeros(3, 1), torch.zeros(3))).label_range() is None
    assert make(Noisy()).label_range() is None


# ------------------------------------------------------------------------------------------- streaming


@pytest.mark.parametrize("num_workers", [0, 2])
def test_streamed_batches_are_the_resident_ones(num_workers: int) -> None:
    streamed = make(TensorDataset(arrays().inputs, arrays().targets), num_workers=num_workers)
    assert not streamed.resident
    assert_same(make(arrays()), streamed)


@pytest.mark.parametrize("drop_last", [True, False])
def test_batches_from_host_memory_are_the_resident_ones(drop_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    resident = make(arrays(), drop_last=drop_last)
    monkeypatch.setattr(batches_module, "fits_on_device", lambda *_: False)
    streamed = make(arrays(), drop_last=drop_last)
    assert not streamed.resident
    assert_same(resident, streamed)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_number_of_workers_changes_nothing(num_workers: int) -> None:
    expected = make(Noisy(), batch_size=2, num_workers=2)
    assert_same(expected, make(Noisy(), batch_size=2, num_workers=num_workers))
    first, second = (next(iter(expected.epoch(epoch)))[0] for epoch in (0, 1))
    assert not torch.isin(first, second).any()


@pytest.mark.parametrize("split", [arrays(), TensorDataset(arrays().inputs, arrays().targets), Noisy()])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_random_states_stay_as_they_were(split: Split, num_workers: int) -> None:
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    for _ in make(split, num_workers=num_workers):
        pass
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # type: ignore[index]


def test_workers_end_with_the_epoch_and_with_an_epoch_cut_short() -> None:
    batches = make(Noisy(), batch_size=1, num_workers=2)
    list(batches.epoch(0))
    assert not multiprocessing.active_children()
    epoch = batches.epoch(1)
    next(epoch)
    assert len(multiprocessing.active_children()) == 2
    epoch.close()  # a generator's
    assert not multiprocessing.active_children()


def test_dicts_and_tuples_of_inputs() -> None:
    class Texts(Noisy):
        def __getitem__(self, index: int) -> Any:
            return {"ids": torch.full((3,), index), "mask": np.ones(2)}, float(index)

    class Several(Noisy):
        def __getitem__(self, index: int) -> Any:
            return (torch.zeros(1), torch.ones(2)), torch.tensor([index, 1.0])

    ((inputs, classes),) = make(Texts(), batch_size=7, num_workers=0, shuffle=False)
    assert (inputs["ids"].shape, inputs["mask"].shape) == ((7, 3), (7, 2))
    assert (classes.dtype, classes.tolist()) == (torch.float32, [0, 1, 2, 3, 4, 5, 6])
    ((inputs, classes),) = make(Several(), batch_size=7, num_workers=0)
    assert ([each.shape for each in inputs], classes.shape) == ([(7, 1), (7, 2)], (7, 2))


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("P", 3), ("1", 1), ("RGBA", 3)])
def test_pil_images_become_images(mode: str, channels: int) -> None:
    class Photos(Noisy):
        def __getitem__(self, index: int) -> Any:
            return Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode), 0

    ((inputs, _),) = make(Photos(), batch_size=7, num_workers=0)
    assert inputs.shape == (7, channels, 4, 5)
    assert torch.equal(inputs, torch.ones(7, channels, 4, 5))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", r"^item 6 of the data set raised ValueError: bad file \(at .*test_batches.py:\d+\)$"),
        ("shape", r"can't be stacked: the input of item \d is \[\d\], that of item \d is \[\d\]$"),
        ("single", r"^item 6 of the data set is a Tensor, expected a pair \(input, target\)$"),
        ("text", r"^the items of a batch can't be stacked: "),
    ],
)
def test_items_that_fail(how: str, message: str, num_workers: int) -> None:
    with pytest.raises(DataError, match=message) as raised:
        list(make(Failing(how), batch_size=4, num_workers=num_workers))
    assert "\n" not in str(raised.value)
    assert not multiprocessing.active_children()


def test_a_worker_that_dies() -> None:
    with pytest.raises(
        DataError, match=r"^loading a batch of the data set raised RuntimeError: DataLoader worker \(pid"
    ):
        list(make(Failing("dies"), batch_size=4, num_workers=1))


# ------------------------------------------------------------------------------------------- a GPU


@pytest.mark.accelerator
@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA")
@pytest.mark.parametrize("budget_bytes", [None, 0])
def test_batches_on_a_gpu(budget_bytes: int | None) -> None:
    transform = BatchTransform(resize=(6, 6))
    batches = make(arrays(), device="cuda", budget_bytes=budget_bytes, transform=transform)
    assert batches.resident is (budget_bytes is None)
    host = make(arrays(), transform=transform)
    for (inputs, classes), (expected, expected_classes) in zip(batches, host, strict=True):
        assert inputs.device.type == classes.device.type == "cuda"
        torch.testing.assert_close(inputs.cpu(), expected)
        assert torch.equal(classes.cpu(), expected_classes)
    streamed = make(TensorDataset(arrays().inputs, arrays().targets), device="cuda", num_workers=2, transform=transform)
    assert targets(streamed) == targets(host)
