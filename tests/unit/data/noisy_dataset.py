"""A data set whose items are random."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Noisy(Dataset[Any]):
    """Draws an item's numbers from everybody's random state; can't be pickled."""

    def __init__(self) -> None:
        self.unpicklable = lambda: None

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        drawn = [torch.rand(()).item(), random.random(), float(np.random.rand())]
        return torch.tensor(drawn), index
