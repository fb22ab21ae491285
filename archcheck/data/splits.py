"""A loaded data set: its training and its test split, each in memory or a map-style data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True, slots=True)
class ArraySplit:
    """A split in memory.

    inputs: (N, C, H, W) uint8 images, or (N, ...) of any dtype, which the network gets unchanged.
    targets: (N,) int64 classes, or (N, ...) float targets of a regression.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def first_examples(arrays: ArraySplit, head: int | None) -> ArraySplit:
    """Return the first `head` examples of a split; all of it for None."""
    return arrays if head is None else ArraySplit(arrays.inputs[:head], arrays.targets[:head])


def label_range(targets: Tensor, ignored: int | None = None) -> tuple[int, int] | None:
    """Return the smallest and the largest class among targets; None where there are no classes.

    ignored: a label that is no class.
    """
    if targets.is_floating_point():
        return None
    labels = targets if ignored is None else targets[targets != ignored]
    if not labels.numel():
        return None
    smallest, largest = torch.aminmax(labels)
    return int(smallest), int(largest)


# A map-style data set is the user's: its items may differ each time they are fetched, so it is streamed.
Split: TypeAlias = ArraySplit | Dataset[Any]


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """A data set with both of its splits; `num_classes` is None where the number isn't known, or for a regression."""

    name: str
    train: Split
    test: Split
    num_classes: int | None = None


def is_image_batch(inputs: Tensor) -> bool:
    """Whether inputs are images, (B, C, H, W) uint8 from 0 to 255, which become floats from 0 to 1 on the device."""
    return inputs.dtype == torch.uint8 and inputs.ndim == 4
