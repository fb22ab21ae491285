"""Digests of tensors: a few numbers, which differ where the tensors do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.function.fingerprint.number_pool import pool, start_of, uniform

_MAX_DEPTH: Final = 16  # of nested containers; a list that contains itself ends here
_RMS_SHARE: Final = 4.0  # keeps a check away from 0, so that "relative to itself" means something


@dataclass(frozen=True, slots=True)
class Digest:
    """A value in three numbers.

    mean, rms: over all elements. check: the sum of the elements, each times a fixed random number of variance 1, by the
    square root of their number, plus 4 rms. A change of any element, or of their order, changes the check; that it
    grows with the values makes a relative tolerance mean the same for all.
    """

    mean: float
    rms: float
    check: float

    @property
    def is_finite(self) -> bool:
        """False where an element is NaN; infinities are counted and left out."""
        return math.isfinite(self.check)


def tensors_in(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """Yield the tensors and numbers in what a module returned, in order; in a map, in the order of sorted keys."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield torch.tensor(float(value), dtype=torch.float64)
    elif depth < _MAX_DEPTH:
        for item in _parts(value):
            yield from tensors_in(item, depth + 1)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, tuple | list):
        return value
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(value, key=str)]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value)]
    return ()


def digest(value: Any) -> Digest | None:
    """Return one digest of all tensors in a value; None where there's no tensor with elements in it."""
    found = [one for one in map(_flat, tensors_in(value)) if one is not None]
    if not found:
        return None
    flat = [one for one, _ in found]
    count = sum(one.numel() for one in flat)
    total = math.fsum(float(one.sum()) for one in flat)
    rms = math.hypot(*(norm for _, norm in found)) / math.sqrt(count)
    projection = math.fsum(_project(one, f"check {position}") for position, one in enumerate(flat))
    return Digest(total / count, rms, math.sqrt(3 / count) * projection + _RMS_SHARE * rms)


def _flat(tensor: Tensor) -> tuple[Tensor, float] | None:
    """Return the elements as float64, and the root of the sum of their squares; None where no elements can be read."""
    tensor = tensor.detach()
    try:
        if tensor.layout is not torch.strided:
            tensor = tensor.to_dense()
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        flat = tensor.reshape(-1).double()
    except (RuntimeError, NotImplementedError, TypeError):  # nested, quantised
        return None
    if not flat.numel():
        return None
    square = float(torch.dot(flat, flat))  # the fastest way, unless it overflows
    if math.isfinite(square):
        return flat, math.sqrt(square)
    infinite = torch.isinf(flat)
    if bool(infinite.any()):
        flat = torch.cat([flat.masked_fill(infinite, 0), infinite.double()])
    return flat, float(torch.linalg.vector_norm(flat))


def _project(flat: Tensor, key: str) -> float:
    numbers, start, done, total = pool(flat.device), start_of(key), 0, 0.0
    while done < flat.numel():
        piece = numbers[start : start + flat.numel() - done]
        total += float(torch.dot(flat[done : done + len(piece)], piece))
        done, start = done + len(piece), 0
    return total


_OFFSET: Final = 100.0  # more than the logarithm of any size takes away


def combine(parts: Mapping[str, Digest], noise: float) -> float:
    """Combine the digests of several tensors, by key, in one number in which all weigh the same whatever their size.

    Tensors whose rms is far smaller than `noise` count for nothing.
    """
    total = 0.0
    for key, one in parts.items():
        first, second = (1.5 + 0.5 * number for number in _pair(key))
        if one.rms > 0:
            share = one.rms**2 / (one.rms**2 + noise**2)
            total += share * (_OFFSET + first * one.check / one.rms + second * math.log(one.rms))
    return total


def combine_initial_values(values: Mapping[str, float | None]) -> float:
    """Combine the numbers that parameters start from, large or small, in one; None is that of a drawn parameter."""
    total = 0.0
    for key, value in values.items():
        weight = 1.5 + 0.5 * _pair(key)[0]
        total += _OFFSET + weight * (_DRAWN if value is None else math.asinh(value * _SCALE))
    return total


_SCALE: Final = 1e8  # tells constants such as 1e-6 from 0
_DRAWN: Final = -7.3


@lru_cache(maxsize=100_000)
def _pair(key: str) -> tuple[float, float]:
    first, second = uniform((2,), key, torch.device("cpu")).tolist()
    return first, second
