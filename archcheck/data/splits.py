"""What a loaded data set is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True, slots=True)
class Arrays:
    """A split in memory.

    inputs: (N, C, H, W) uint8 images, or (N, ...) of any dtype, which goes to the network as it is.
    targets: (N,) int64 classes, or (N, ...) float targets of a regression.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


def head_of(arrays: Arrays, head: int | None) -> Arrays:
    """The first examples of a split; all of it for None."""
    return arrays if head is None else Arrays(arrays.inputs[:head], arrays.targets[:head])


def label_range(targets: Tensor, ignored: int | None = None) -> tuple[int, int] | None:
    """The smallest and the largest class among targets; None where there are no classes.

    ignored: a label that is no class.
    """
    if targets.is_floating_point():
        return None
    labels = targets if ignored is None else targets[targets != ignored]
    if not labels.numel():
        return None
    smallest, largest = torch.aminmax(labels)
    return int(smallest), int(largest)


# A map-style data set is somebody else's: its items may differ each time they are asked for, so it is streamed.
Split: TypeAlias = Arrays | Dataset[Any]


@dataclass(frozen=True, slots=True)
class DataPair:
    """A data set: both of its splits, and how many classes it has where that is known."""

    name: str
    train: Split
    test: Split
    num_classes: int | None = None


def is_image_batch(inputs: Tensor) -> bool:
    """Whether inputs are pixels from 0 to 255, which become floats from 0 to 1 on the device."""
    return inputs.dtype == torch.uint8 and inputs.ndim == 4
