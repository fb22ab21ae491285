"""What a network holds before a forward pass, to be put back before the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from archcheck.function.fingerprint.preparation import PreparedNetwork
from archcheck.function.fingerprint.storages import StorageSet, storage_key
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.structure.meta.network_snapshot import NetworkSnapshot


class NetworkState:
    """Keeps a network's attributes, buffers and parameters as they were before it ran, and puts them back.

    Writes are seen below autograd, through whatever view they are made. Filled parameters are not copied: their numbers
    are made once more.

    Attributes:
        saved_buffers: by name, each buffer and a copy of the values that it has before each pass.
        written: the memory that the network has written to since it was put back.
    """

    def __init__(self, network: PreparedNetwork, filler: WeightFiller) -> None:
        self._network, self._filler = network, filler
        self.saved_buffers: dict[str, tuple[Tensor, Tensor]] = {}
        self.written = StorageSet()
        self._num_writes: Counter[int | None] = Counter()  # by memory
        self._attributes: NetworkSnapshot | None = None
        self._params = {name: (one, one.detach(), one.requires_grad) for name, one in network.params.items()}
        self._keys = {name: storage_key(one) for name, one in network.params.items()}  # the memory that each has
        self._constants = {
            name: one.detach().clone() for name, one in network.params.items() if name not in network.filled
        }
        self._buffers = {storage_key(one): one for one in network.buffers().values()}
        self._unwritten: dict[int | None, Tensor] = {}
        self._switched: list[str] = []  # the parameters that `train()` or `eval()` has written to

    def save_attributes(self) -> None:
        """Remember what the modules hold besides parameters and buffers."""
        self._attributes = NetworkSnapshot(self._network.modules.values(), values=False)

    def save_buffers(self) -> None:
        """Remember the values of buffers: those from before the network wrote to them, where it did."""
        self.saved_buffers = {
            name: (one, self._unwritten.get(storage_key(one), one).detach().clone())
            for name, one in self._network.buffers().items()
        }
        self._unwritten.clear()

    def note_call(self, func: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Note what a function below autograd is about to write to."""
        if not _may_write(func):
            return
        for one in _about_to_be_written(func, args, kwargs):
            self.written.add(one)
            key = storage_key(one)
            self._num_writes[key] += 1
            if not self.saved_buffers and key in self._buffers and key not in self._unwritten:
                self._unwritten[key] = self._buffers[key].detach().clone()

    def begin_forward(self) -> None:
        """Take what was written so far for the work of `train()` or `eval()`, which may merge weights and part them."""
        with torch._C.DisableTorchFunction():  # to ask for a weight's memory is no use of it
            self._switched = [name for name, _ in self._written_params()]

    @property
    def has_changed(self) -> bool:
        """Whether running it has changed anything but parameters and the values of buffers."""
        return self._attributes is not None and self._attributes.has_changed()

    def changed(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers and parameters that have other values since the network was put back, as they are now."""
        now = self._network.buffers()
        for name, (buffer, old) in self.saved_buffers.items():
            new = now.get(name, buffer)
            if not _holds_the_same(new, old):
                yield name, new
        yield from (one for one in self._written_params() if one[0] not in self._switched)

    def num_writes(self, tensor: Tensor) -> int:
        """Return how often a parameter or a buffer was written to since the network was put back."""
        return self._num_writes[storage_key(tensor)]

    def _written_params(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the parameters that were written to, or got other memory, since the network was put back."""
        for name, (param, _, _) in self._params.items():
            key = storage_key(param)
            if key != self._keys[name] or self.written.has(key):
                yield name, param

    def restore(self) -> None:
        """Put the network back to what it was before it ran."""
        if self._attributes is not None:
            self._attributes.restore(keep_layers=True)
        with torch.no_grad():
            for buffer, values in self.saved_buffers.values():
                if buffer.is_nested or (buffer.shape == values.shape and buffer.dtype is values.dtype):
                    buffer.copy_(values)
                else:
                    buffer.data = values.clone()
            for name, param in list(self._written_params()):  # a teacher follows its student
                self._restore_param(name, param)
            for param, _, requires_grad in self._params.values():
                if param.requires_grad is not requires_grad:
                    param.requires_grad_(requires_grad)
        self.written.clear()
        self._num_writes.clear()

    def _restore_param(self, name: str, param: Tensor) -> None:
        param = param if param.is_leaf else param.detach_()
        param.data = self._params[name][1]
        if id(param) in self._filler.keys:
            self._filler.refill(param)
        elif name in self._constants:
            param.data.copy_(self._constants[name])


def _holds_the_same(new: Tensor, old: Tensor) -> bool:
    if new is old or new.is_nested or old.is_nested:
        return new.is_nested == old.is_nested  # whose values can't be compared
    if new.layout is not torch.strided:
        new, old = new.to_dense(), old.to_dense()
    if new.shape != old.shape or new.device != old.device:
        return False
    return torch.equal(new, old) or bool(((new == old) | ((new != new) & (old != old))).all())


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        return (value,)
    return [one for one in value if isinstance(one, Tensor)] if isinstance(value, list | tuple) else ()


_BATCH_NORMS: Final = frozenset({"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"})
_STATISTICS: Final = (3, 4)  # the positions of the running mean and variance, which no schema says are written to
_IS_TRAINING: Final = 5


def _about_to_be_written(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors that a function of aten writes to."""
    for position, name in _written_arguments(func):
        value = args[position] if position < len(args) else kwargs.get(name)
        yield from _tensors(value)
    if func.overloadpacket.__name__ in _BATCH_NORMS and len(args) > _IS_TRAINING and args[_IS_TRAINING]:
        yield from (args[position] for position in _STATISTICS if isinstance(args[position], Tensor))


@lru_cache(maxsize=2048)
def _may_write(func: Any) -> bool:
    return bool(func._schema.is_mutable) or func.overloadpacket.__name__ in _BATCH_NORMS


@lru_cache(maxsize=2048)
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Return the positions and names of the arguments that a function of aten writes to."""
    if not func._schema.is_mutable:
        return ()
    arguments = enumerate(func._schema.arguments)
    return tuple((i, one.name) for i, one in arguments if one.alias_info is not None and one.alias_info.is_write)
