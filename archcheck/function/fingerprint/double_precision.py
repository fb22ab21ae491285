"""Computation in double precision, whatever precision a network's code asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_WIDER: Final = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
    torch.complex32: torch.complex128,
}


@cache
def _casts() -> Mapping[Any, torch.dtype]:
    casts = {Tensor.float: torch.float32, Tensor.half: torch.float16, Tensor.bfloat16: torch.bfloat16}
    return MappingProxyType(casts)


def named_precision(func: Any, args: Any, kwargs: Any) -> torch.dtype | None:
    """Return the precision narrower than double that a call of a function of torch names; None where it names none."""
    if func in _casts():
        return _casts()[func]
    for arg in args:  # most calls have none: this is asked of every one
        if type(arg) is torch.dtype and arg in _WIDER:
            return arg
    named = kwargs.get("dtype") if kwargs else None
    return named if named in _WIDER else None


def widened(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Return a function of torch and its arguments with every narrower precision in them replaced by double."""
    if named_precision(func, args, kwargs) is None:
        return func, args, kwargs
    if func in _casts():
        return Tensor.to, (args[0], torch.float64), {}
    args = tuple(_WIDER.get(one, one) if isinstance(one, torch.dtype) else one for one in args)
    if "dtype" in kwargs:
        kwargs = {**kwargs, "dtype": _WIDER.get(kwargs["dtype"], kwargs["dtype"])}
    return func, args, kwargs


def promoted(value: Any) -> Any:
    """Return arguments with every tensor in them in double precision."""
    if isinstance(value, Tensor):
        return value.to(_WIDER.get(value.dtype, value.dtype))
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(promoted(item) for item in value)
    return {key: promoted(item) for key, item in value.items()} if isinstance(value, dict) else value


def asks_for_one_dtype(error: RuntimeError) -> bool:
    """Return whether a function of torch refused arguments of several precisions."""
    return any(word in str(error) for word in ("dtype", "Double", "double"))


class _DoublePrecision(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func, args, kwargs = widened(func, args, kwargs or {})
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if not asks_for_one_dtype(error):
                raise
            return func(*promoted(args), **promoted(kwargs))


@contextmanager
def built_in(dtype: torch.dtype) -> Iterator[None]:
    """Let constructors make tensors of this precision: a table is then what the same formula gives in the forward."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        if dtype is torch.float64:
            with _DoublePrecision():
                yield
        else:
            yield
    finally:
        torch.set_default_dtype(before)
