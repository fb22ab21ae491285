"""The memory that tensors live in: what tells a weight apart from its values, however a network gets at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.multiprocessing.reductions import StorageWeakRef


def storage_key(tensor: Tensor) -> int | None:
    """Return a number for a tensor's memory, which all its views share; None where it has none (sparse, lazy).

    While somebody holds the memory, or a weak reference to it, no other memory gets the number. A tensor inside `vmap`
    or `grad` has the memory of the one that was handed in.
    """
    try:
        return plain(tensor).untyped_storage()._cdata  # type: ignore[no-any-return]
    except (RuntimeError, NotImplementedError, ValueError):
        return None


def plain(tensor: Tensor) -> Tensor:
    """Return the tensor that functions such as `vmap` and `grad` have wrapped, or the tensor itself."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


@contextmanager
def untransformed() -> Iterator[None]:
    """Leave `vmap`, `grad` and their like for the block, in which only the tensors that they wrap are seen."""
    if torch._C._functorch.peek_interpreter_stack() is None:
        yield
    else:
        with temporarily_clear_interpreter_stack():
            yield


class StorageSet:
    """A set of the memories of tensors; memory that is freed, and used for another tensor, is another one."""

    def __init__(self, tensors: Iterable[Tensor] = ()) -> None:
        self._held: dict[int, StorageWeakRef] = {}
        for one in tensors:
            self.add(one)

    def add(self, tensor: Tensor) -> None:
        """Add a tensor's memory; one that has none is left out."""
        key = storage_key(tensor)
        if key is not None and key not in self._held:
            self._held[key] = StorageWeakRef(plain(tensor).untyped_storage())  # type: ignore[no-untyped-call]

    def has(self, key: int | None) -> bool:
        """Return whether the memory with a key (`storage_key`) is in the set."""
        return key in self._held

    def discard(self, tensor: Tensor) -> None:
        """Remove a tensor's memory, if it's in the set."""
        key = storage_key(tensor)
        if key is not None:
            self._held.pop(key, None)

    def clear(self) -> None:
        """Remove all."""
        self._held.clear()

    def __contains__(self, tensor: Tensor) -> bool:
        return storage_key(tensor) in self._held

    def __bool__(self) -> bool:
        return bool(self._held)
