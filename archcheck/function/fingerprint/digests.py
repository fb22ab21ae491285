"""Digests of tensors: a few numbers, which differ where the tensors do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from archcheck.function.fingerprint.number_pool import pool, start_of, uniform
from archcheck.function.fingerprint.storages import plain
from archcheck.network.objects import attributes_of, is_closed

_MAX_DEPTH: Final = 16  # of nested containers; a list that contains itself ends here
_CONTAINERS: Final = (list, tuple, deque, Mapping, ValuesView)
_HUGE: Final = 1e100  # larger numbers than this are all alike: their squares couldn't be added
_MAX_COPIED: Final = 2**24  # elements: 128 MiB in double precision
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


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors and numbers in what a module returned, in order; in a map, in the order of sorted keys.

    Looks into lists and maps of any kind, data classes, distributions, and objects that hold tensors in attributes.
    """
    yield from _tensors_in(value, 0, set())


def _tensors_in(value: Any, depth: int, seen: set[int]) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield from _unbound(value)
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield torch.tensor(float(value), dtype=torch.float64)
    elif depth < _MAX_DEPTH and id(value) not in seen:
        if not isinstance(value, list | tuple | Mapping):  # objects may refer to each other in any way
            seen.add(id(value))
        for item in parts_of(value):
            yield from _tensors_in(item, depth + 1, seen)


def _unbound(tensor: Tensor) -> Iterable[Tensor]:
    """Return a tensor, or the ones that a nested one holds."""
    if tensor.is_nested and tensor.layout is torch.jagged:
        return (tensor.values(),)  # its rows one after another: under a mode, torch crashes when it is unbound
    return tensor.unbind() if tensor.is_nested else (tensor,)


def parts_of(value: Any) -> Iterable[Any]:
    """Return what a container or an object holds; nothing of what can't be looked into, such as a generator."""
    if isinstance(value, list | tuple | deque | ValuesView):
        return list(value)
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(value.keys(), key=str)]  # iterating over a TensorDict gives its rows
    if is_closed(value):
        return ()
    if is_dataclass(value):
        return [getattr(value, name) for name in sorted(field.name for field in fields(value))]
    if isinstance(value, Distribution):
        return _parts_of_distribution(value)
    attributes = attributes_of(value)
    found = [attributes[name] for name in sorted(attributes)]
    return [one for one in found if not isinstance(one, str | bool | float | int)]


def _parts_of_distribution(value: Any) -> list[Any]:
    """Return a distribution's parameters, or the distributions that it's made of."""
    held = vars(value)
    names = [name for name in sorted(value.arg_constraints) if name in held]
    parts = [one for name, one in sorted(held.items()) if isinstance(one, Distribution)]
    return [held[name] for name in names] or parts


def opaque_parts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the types of what can't be looked into and may hold tensors: generators, objects without attributes."""
    if value is None or isinstance(value, Tensor | str | bytes | bool | float | int | complex | type | Enum):
        return
    if isinstance(value, torch.dtype | torch.device | torch.Size) or depth >= _MAX_DEPTH:
        return
    if isinstance(value, Iterator) or callable(value):
        yield type(value).__name__
    elif isinstance(value, _CONTAINERS):
        for item in parts_of(value):
            yield from opaque_parts(item, depth + 1)
    elif next(tensors_in(value), None) is None:
        yield type(value).__name__


def digest(value: Any) -> Digest | None:
    """Return one digest of all tensors in a value; None where there's no tensor with elements in it."""
    found = [one for one in map(_readable, tensors_in(value)) if one is not None]
    if not found:
        return None
    sums = [_add_up(one, f"check {position}") for position, one in enumerate(found)]
    count = sum(one.number for one in sums)
    rms = math.hypot(*(one.norm for one in sums)) / math.sqrt(count)
    projection = math.fsum(one.projection for one in sums)
    mean = math.fsum(one.total for one in sums) / count
    return Digest(mean, rms, math.sqrt(3 / count) * projection + _RMS_SHARE * rms)


def _readable(tensor: Tensor) -> Tensor | None:
    """Return a tensor of real numbers with the same elements; None where there are none, or they can't be read.

    Unless it's large, it is flat and of float64.
    """
    tensor = plain(tensor).detach()
    try:
        if tensor.layout is not torch.strided:
            tensor = tensor.to_dense()
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        if tensor.numel() > _MAX_COPIED:
            tensor[..., :0].double()
        else:
            tensor = tensor.reshape(-1).double()
    except (RuntimeError, NotImplementedError, TypeError):  # nested, quantised
        return None
    return tensor if tensor.numel() else None


class _Sums(NamedTuple):
    """Of a tensor's elements: how many they are, their sum, the root of that of their squares, their projection."""

    number: int
    total: float
    norm: float
    projection: float


def _add_up(tensor: Tensor, key: str) -> _Sums:
    parts = [tensor] if tensor.numel() <= _MAX_COPIED else _parts_of_large(tensor)
    sums = _add_up_parts(parts, tensor.device, key)
    if math.isfinite(sums.norm):
        return sums
    flat = tensor.reshape(-1).double()
    infinite = torch.isinf(flat)
    if bool(infinite.any()):
        flat = torch.cat([flat.masked_fill(infinite, 0), infinite.double()])
    flat = flat.clamp(-_HUGE, _HUGE)  # masks are filled with the smallest number that there is
    return _add_up_parts([flat], tensor.device, key)._replace(norm=float(torch.linalg.vector_norm(flat)))


def _add_up_parts(parts: Iterable[Tensor], device: torch.device, key: str) -> _Sums:
    """Add up flat tensors of float64 as if they were one."""
    numbers, start, number, total, square, projection = pool(device), start_of(key), 0, 0.0, 0.0, 0.0
    for flat in parts:
        total += float(flat.sum())
        square += float(torch.dot(flat, flat))  # the fastest way, unless it overflows
        done = 0
        while done < flat.numel():
            piece = numbers[start : start + flat.numel() - done]
            projection += float(torch.dot(flat[done : done + len(piece)], piece))
            done, start = done + len(piece), (start + len(piece)) % len(numbers)
        number += done
    return _Sums(number, total, math.sqrt(square) if square >= 0 else math.nan, projection)


def _parts_of_large(tensor: Tensor) -> Iterator[Tensor]:
    """Yield the elements in order, flat and as float64, in parts: a copy of all would take as much memory again."""
    for part in torch.split(tensor, max(1, len(tensor) * _MAX_COPIED // tensor.numel())):
        if part.numel() <= _MAX_COPIED:
            yield part.reshape(-1).double()
        else:  # a single one
            yield from _parts_of_large(part[0])


_OFFSET: Final = 20.0  # about as much as the logarithm of a usual size takes away


def combine(parts: Mapping[str, Digest], noise: float) -> float:
    """Combine the digests of several tensors, by key, in one number in which all weigh the same whatever their size.

    Tensors whose rms is far smaller than `noise` count for nothing. Half of the tensors count negative, so that the
    number grows slowly with how many they are: the more it grows, the less a change of one of them is seen.
    """
    total = 0.0
    for key, one in parts.items():
        first, second, sign = _weights(key)
        if one.rms > 0:
            share = one.rms**2 / (one.rms**2 + noise**2)
            total += sign * share * (_OFFSET + first * one.check / one.rms + second * math.log(one.rms))
    return total


def combine_initial_values(values: Mapping[str, float | None]) -> float:
    """Combine the numbers that parameters start from, large or small, in one; None is that of a drawn parameter."""
    total = 0.0
    for key, value in values.items():
        weight, _, sign = _weights(key)
        total += sign * (_OFFSET + weight * (_DRAWN if value is None else math.asinh(value * _SCALE)))
    return total


_SCALE: Final = 1e8  # tells constants such as 1e-6 from 0
_DRAWN: Final = -7.3


@lru_cache(maxsize=100_000)
def _weights(key: str) -> tuple[float, float, float]:
    """Return two numbers from 1 to 2, and a sign."""
    first, second, third = uniform((3,), key, torch.device("cpu")).tolist()
    return 1.5 + 0.5 * first, 1.5 + 0.5 * second, math.copysign(1.0, third)
