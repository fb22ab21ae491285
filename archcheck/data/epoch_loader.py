"""Batches as training loops take them: an object that gives another epoch each time it's iterated over."""

from __future__ import annotations

from collections.abc import Iterator

from archcheck.data.batches import Batches
from archcheck.data.splits import Split
from archcheck.data.streaming import Batch


class EpochLoader:
    """A data loader for a loop that isn't ours: each iteration over it is an epoch, of the training set another one.

    Batches are on the device; the test set comes in the same order each time. batch_size: of each batch but perhaps
    the last of the test set. dataset: the split, for its length.
    """

    def __init__(self, batches: Batches, dataset: Split) -> None:
        self._batches = batches
        self._epoch = 0
        self.batch_size = batches.batch_size
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        self._epoch += 1
        return self._batches.epoch(self._epoch)
