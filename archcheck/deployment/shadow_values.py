"""Values of tensors on the meta device, computed beside it on the CPU for networks that ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map_only


class ShadowValues:
    """The memory on the CPU of each memory on meta; a tensor's values are those at its own place in it."""

    def __init__(self) -> None:
        self._memory: dict[int, tuple[StorageWeakRef, torch.UntypedStorage]] = {}

    def place(self, values: Tensor) -> Tensor:
        """Return a tensor on meta with these values."""
        blank = torch.empty_strided(values.size(), values.stride(), dtype=values.dtype, device="meta")
        self.write(blank, values)
        return blank

    def read(self, blank: Tensor) -> Tensor:
        """Return the values of a tensor on meta, in the memory that its views share.

        Raises:
            NotImplementedError: it came about where nothing saw it.
        """
        held = self._memory.get(blank.untyped_storage()._cdata)
        if held is None:
            raise NotImplementedError("a tensor on meta of which no values are known")
        made = torch.empty(0, dtype=blank.dtype)
        with torch.no_grad():
            return made.set_(held[1], blank.storage_offset(), blank.size(), blank.stride())

    def write(self, blank: Tensor, values: Tensor) -> None:
        """Give a new tensor on meta its values; one that shares its memory with another has them already."""
        storage = blank.untyped_storage()
        if storage._cdata not in self._memory:
            memory = torch.UntypedStorage(storage.nbytes())  # type: ignore[no-untyped-call]
            self._memory[storage._cdata] = (StorageWeakRef(storage), memory)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                self.read(blank).copy_(values)

    def compute(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation on meta, and on the values; what meta can't do comes out as the values do."""
        read_args, read_kwargs = tree_map_only(Tensor, self._values_of, (tuple(args), _on_cpu(kwargs)))
        try:
            blank = func(*args, **kwargs)
        except (NotImplementedError, RuntimeError):
            blank = None
        values = func(*read_args, **read_kwargs)
        if blank is None:
            is_written = func.overloadpacket.__name__.endswith("_") and isinstance(args[0], Tensor)
            return args[0] if is_written else tree_map_only(Tensor, self.place, values)
        if isinstance(blank, tuple | list):
            return type(blank)(map(self._with_values, blank, values))
        return self._with_values(blank, values)

    def _with_values(self, blank: Any, values: Any) -> Any:
        """Give what came out on meta its values; where the CPU gives another shape (of statistics), it has that."""
        if not isinstance(blank, Tensor) or not blank.is_meta:
            return blank
        if blank.shape != values.shape:
            return self.place(values)
        self.write(blank, values)
        return blank

    def compute_on_cpu(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an operation on the values alone: what comes out is on the CPU."""
        read_args, read_kwargs = tree_map_only(Tensor, self._values_of, (tuple(args), dict(kwargs)))
        out = func(*read_args, **read_kwargs)
        return args[0] if out is read_args[0] else out

    def _values_of(self, tensor: Tensor) -> Tensor:
        return self.read(tensor) if tensor.is_meta else tensor


def _on_cpu(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {**kwargs, "device": torch.device("cpu")} if kwargs.get("device") is not None else dict(kwargs)
