"""Tensors that get their values only when something reads them: touching much memory takes longer than building."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from archcheck.function.fingerprint.storages import storage_key

LARGE: Final = 2**18  # numbers, from which on it pays
# Functions of aten that read nothing of a tensor but its shape, besides those that make a view of it.
UNINITIALIZED: Final = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})
CONSTANT: Final = frozenset({"ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full"})
_VALUELESS: Final = UNINITIALIZED | CONSTANT
_EXPOSING: Final = frozenset({"numpy", "__array__", "tolist", "data_ptr", "untyped_storage", "storage", "__dlpack__"})


class LateValues:
    """The tensors that have no values yet, by their memory, and what gives them theirs."""

    def __init__(self) -> None:
        self._waiting: dict[int | None, tuple[Tensor, Callable[[Tensor], object]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put_off(self, tensor: Tensor, make: Callable[[Tensor], object]) -> None:
        """Have `make` give a tensor its values when they are read."""
        self._waiting[storage_key(tensor)] = tensor.detach(), make  # which keeps the memory from being used again

    def waiting(self, tensor: Any) -> Callable[[Tensor], object] | None:
        """Return what is to give a tensor its values; None where it has them, or is a view of a part of one."""
        found = self._waiting.get(storage_key(tensor)) if self._waiting and isinstance(tensor, Tensor) else None
        return None if found is None or found[0].numel() != tensor.numel() else found[1]

    def give_up(self, tensor: Tensor) -> None:
        """Leave a tensor as it is, as other values are written over all of it."""
        del self._waiting[storage_key(tensor)]

    def make(self, values: Any) -> None:
        """Give the tensors among some values theirs."""
        if isinstance(values, Tensor):
            found = self._waiting.pop(storage_key(values), None)
            if found is not None:
                with torch._C._DisableTorchDispatch(), torch.no_grad():
                    found[1](found[0])
        elif self._waiting and isinstance(values, list | tuple | dict):
            for one in values.values() if isinstance(values, dict) else values:
                self.make(one)


def reads_values(func: Any) -> bool:
    """Return whether a function of aten reads, or writes to, the values of its arguments."""
    return not func.is_view and func.overloadpacket.__name__ not in _VALUELESS


class ValuesBeforeExposing(TorchFunctionMode):
    """Gives tensors their values before their memory is read past torch's dispatcher, as by NumPy."""

    def __init__(self, late: LateValues) -> None:
        super().__init__()
        self._late = late

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._late and getattr(func, "__name__", "") in _EXPOSING:
            self._late.make(args)
        return func(*args, **(kwargs or {}))
