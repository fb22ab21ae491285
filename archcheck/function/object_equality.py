"""Equality of objects that may not be comparable: compared part by part."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

import torch
from torch import Tensor, nn

_MAX_DEPTH: Final = 8  # of what is compared part by part
_PLAIN: Final = (int, float, complex, str, bytes, type(None), set, frozenset, type, torch.dtype, torch.device, CodeType)
_NOTHING: Final = object()


def are_surely_equal(one: Any, other: Any, depth: int = 0) -> bool:
    """Return whether two values are surely the same; False where that is unknown. Modules count as equal."""
    if one is other or isinstance(one, nn.Module):
        return True
    if type(one) is not type(other) or depth > _MAX_DEPTH:
        return False
    if isinstance(one, Tensor):
        alike = one.dtype is other.dtype and one.shape == other.shape
        return alike and (one.data_ptr() == other.data_ptr() != 0 or torch.equal(one, other))
    if isinstance(one, list | tuple):
        pairs = zip_longest(one, other, fillvalue=_NOTHING)
        return all(are_surely_equal(a, b, depth + 1) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(are_surely_equal(one[key], other[key], depth + 1) for key in one)
    if isinstance(one, _PLAIN):
        return bool(one == other)
    parts = _parts_of(one), _parts_of(other)
    return None not in parts and are_surely_equal(*parts, depth + 1)


def _parts_of(value: Any) -> Any:
    """Return what a function, an array or an object consists of; None where that's unknown."""
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "__array__"):
        return value.tolist()
    return getattr(value, "__dict__", None)
