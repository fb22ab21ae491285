"""Fixed numbers, the same on every machine and in every version of torch: what weights, inputs and draws are made of.

They come from a hash function and not from a random generator, whose numbers no library guarantees. A tensor takes as
many of them in a row as it has elements, from a place that depends on what it's for.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Final

import torch
from torch import Tensor

LENGTH: Final = 1_048_573  # a prime, so that no two rows of a matrix are the same numbers


@cache
def pool(device: torch.device) -> Tensor:
    """Return `LENGTH` numbers between -1 and 1, evenly spread, none of them 0: float64."""
    digits = hashlib.shake_256(b"archcheck").digest(4 * LENGTH)
    whole = torch.frombuffer(bytearray(digits), dtype=torch.int32)
    return ((whole.double() + 0.5) / 2**31).to(device)


def start_of(key: str) -> int:
    """Return where in the pool the numbers for `key` begin."""
    return zlib.crc32(key.encode()) % LENGTH


def fill_from_pool(flat: Tensor, key: str, offset: int = 0) -> None:
    """Fill a flat tensor with the numbers for `key`, from the one with number `offset` on."""
    numbers, start, filled = pool(flat.device), (start_of(key) + offset) % LENGTH, 0
    while filled < flat.numel():
        piece = numbers[start : start + flat.numel() - filled]
        flat[filled : filled + len(piece)].copy_(piece)
        filled, start = filled + len(piece), 0


def uniform(shape: Sequence[int], key: str, device: torch.device) -> Tensor:
    """Make a float64 tensor of numbers between -1 and 1."""
    made = torch.empty(math.prod(shape), dtype=torch.float64, device=device)
    fill_from_pool(made, key)
    return made.view(tuple(shape))


def squeezed_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without its 1s, such that a scale of C channels has one, be it (C,) or (1, C, 1, 1)."""
    return tuple(size for size in shape if size != 1)
