"""Batches of a split on the device: the split is resident there where it fits, else streamed to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from archcheck.data.seeds import derive_seed
from archcheck.data.splits import ArraySplit, Split, label_range
from archcheck.data.streaming import Batch, BatchRequest, choose_num_workers, stream_batches
from archcheck.data.transforms import BatchTransform
from archcheck.errors import DataError
from archcheck.network.devices import copies_from_pinned_memory, free_memory_bytes

_NUM_PREFETCHED = 2  # batches that are gathered in host memory before they are needed


class Batches:
    """Batches of a split, on the device and transformed; equal for equal seed and epoch, resident or streamed.

    num_examples, num_batches: of an epoch, after `drop_last`.
    resident: whether the whole split is on the device.

    budget_bytes: the most that may be resident; None: a quarter of the device's free memory. It doesn't apply to an
    `ArraySplit` on the CPU, which is in its memory already.
    num_workers: processes that fetch a map-style data set; None: up to 4.
    steps_per_epoch: how many batches of a shuffled split an epoch has; None: all.

    Raises:
        DataError: the split has less than a batch of examples, or fewer batches than an epoch is to have.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        device: torch.device | str,
        transform: BatchTransform,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        budget_bytes: int | None = None,
        num_workers: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        length = len(split)  # type: ignore[arg-type]  # map-style: it has a length
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.transform = transform
        self.num_batches = length // batch_size if drop_last else -(-length // batch_size)
        self.num_examples = self.num_batches * batch_size if drop_last else length
        if not self.num_batches:
            raise DataError(f"the data set has {length} examples, less than a batch of {batch_size}", arg="batch_size")
        if steps_per_epoch is not None:
            self._shorten(steps_per_epoch)
        self._length = length
        self._shuffle = shuffle
        self._seed = seed
        self.resident = isinstance(split, ArraySplit) and fits_on_device(split, self.device, budget_bytes)
        if isinstance(split, ArraySplit) and self.resident:
            split = ArraySplit(split.inputs.to(self.device), split.targets.to(self.device))
        self._split = split
        if num_workers is None:
            num_workers = 0 if isinstance(split, ArraySplit) else choose_num_workers(split, self.num_batches)
        self._num_workers = num_workers

    def _shorten(self, steps_per_epoch: int) -> None:
        if steps_per_epoch > self.num_batches:
            problem = f"the training set has {self.num_batches} batches of {self.batch_size}, fewer than these"
            raise DataError(problem, arg="steps_per_epoch")
        self.num_batches, self.num_examples = steps_per_epoch, steps_per_epoch * self.batch_size

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the first epoch, each time."""
        return self.epoch(0)

    def epoch(self, epoch: int, check_targets: Callable[[Tensor], None] | None = None) -> Generator[Batch, None, None]:
        """Yield an epoch's batches: inputs, transformed where they are images, and targets.

        check_targets: is given the targets of each batch that is streamed, as long as they are on the host, where
        looking at them doesn't wait for the device.

        Raises:
            DataError: an item of the data set raised or has the wrong form, or a worker died.
        """
        generator = torch.Generator(self.device).manual_seed(derive_seed(self._seed, epoch, "augmentation"))
        # Closed, not dropped: Ctrl-C while a dropped generator's workers are shut down is swallowed by Python.
        with closing(self._untransformed(epoch, check_targets or (lambda _: None))) as batches:
            for inputs, targets in batches:
                yield self.transform(inputs, generator) if isinstance(inputs, Tensor) else inputs, targets

    def label_range(self, ignored: int | None = None) -> tuple[int, int] | None:
        """Return the smallest and the largest class; None where there are no classes, or where the split is streamed.

        ignored: a label that is no class.
        """
        return label_range(self._split.targets, ignored) if isinstance(self._split, ArraySplit) else None

    def _untransformed(self, epoch: int, check_targets: Callable[[Tensor], None]) -> Generator[Batch, None, None]:
        if isinstance(self._split, ArraySplit) and self.resident:
            yield from self._resident_batches(self._split, epoch)
            return
        with closing(self._host_batches(epoch)) as batches:
            for batch in batches:
                check_targets(batch[1])
                yield _to_device(batch, self.device)

    def _host_batches(self, epoch: int) -> Generator[Batch, None, None]:
        order = torch.split(self._order(epoch), self.batch_size)
        if isinstance(self._split, ArraySplit):
            yield from _gathered_batches(self._split, order, self.device)
        else:
            requests = [
                BatchRequest(indices.tolist(), derive_seed(self._seed, epoch, number, "items"))
                for number, indices in enumerate(order)
            ]
            pin_memory = copies_from_pinned_memory(self.device)
            with closing(stream_batches(self._split, requests, self._num_workers, pin_memory)) as batches:
                yield from batches

    def _order(self, epoch: int) -> Tensor:
        """Return the indices of an epoch's examples in order, (num_examples,) int64 on the host."""
        if not self._shuffle:
            return torch.arange(self.num_examples)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch, "order"))
        return torch.randperm(self._length, generator=generator)[: self.num_examples]

    def _resident_batches(self, arrays: ArraySplit, epoch: int) -> Iterator[Batch]:
        # `index_select` copies, as it has to: a network may change its input in place.
        for indices in torch.split(self._order(epoch).to(self.device), self.batch_size):
            yield arrays.inputs.index_select(0, indices), arrays.targets.index_select(0, indices)


def fits_on_device(arrays: ArraySplit, device: torch.device, budget_bytes: int | None) -> bool:
    """Whether a split may be resident on a device: always on the CPU, else within the budget."""
    if device.type == "cpu":
        return True
    budget_bytes = free_memory_bytes(device) // 4 if budget_bytes is None else budget_bytes
    return arrays.inputs.nbytes + arrays.targets.nbytes <= budget_bytes


def _gathered_batches(arrays: ArraySplit, order: tuple[Tensor, ...], device: torch.device) -> Iterator[Batch]:
    """Yield batches of a split in host memory, gathered ahead of use by a thread, in pinned memory for a GPU."""
    pinned = copies_from_pinned_memory(device)

    def gather(tensor: Tensor, indices: Tensor) -> Tensor:
        out = torch.empty((len(indices), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=pinned)
        return torch.index_select(tensor, 0, indices, out=out)

    def batch(indices: Tensor) -> Batch:
        return gather(arrays.inputs, indices), gather(arrays.targets, indices)

    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Batch]] = deque()
        for indices in order:
            waiting.append(pool.submit(batch, indices))
            if len(waiting) > _NUM_PREFETCHED:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _to_device(each, device) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_to_device(each, device) for each in value)
    return value
