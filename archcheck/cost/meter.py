"""A step of a network watched operation by operation: what it holds, moves, launches and waits for."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass_type

from archcheck.cost.operations import Operation, operation_of, tensors_in
from archcheck.cost.places import LOSS, OPTIMIZER, Place, Places
from archcheck.cost.records import ACTIVATIONS, GRADIENTS, OPTIMIZER_STATE, CostRecord, LayerCost, Wait
from archcheck.cost.stand_ins import ASKS_FOR_DEVICE, CPU, StandIn, StandInKernels
from archcheck.structure.meta.formulas import flop_formulas

_CASTS: Final = ("_to_copy", "to_dtype")
_PLAIN: Final = frozenset({Tensor, torch.nn.Parameter, StandIn})


class Block:
    """A storage: what it's for, where it was made, and from when until when it was there, by the meter's clock."""

    __slots__ = ("born", "died", "in_forward", "is_on_device", "kind", "operation", "place", "ref", "size")

    def __init__(self, size: int, kind: str, place: Place, operation: str, born: int) -> None:
        self.size, self.kind, self.place, self.operation, self.born = size, kind, place, operation, born
        self.died: int | None = None
        self.in_forward = False
        self.is_on_device = True  # rather than on the host, as what is made of numbers
        self.ref: weakref.ref[Any] | None = None


class HostReads(TorchFunctionMode):
    """Sees what brings values to the host without an operation of its own on a CPU; keeps torch off fused layers."""

    def __init__(self, meter: CostMeter) -> None:
        super().__init__()
        self._meter = meter
        self._reading = {Tensor.cpu: ".cpu()", Tensor.numpy: ".numpy()", Tensor.tolist: ".tolist()"}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        told = self._reading.get(func)
        if told is not None and self._meter.is_on_device(args[0]):
            self._meter.note_wait(told)
        return func(*args, **(kwargs or {}))


class CostMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches one step, of stand-ins or of tensors on the CPU, and tells what it costs.

    Storages are counted, not tensors: a view holds nothing, and a storage is there until Python and torch let go of it.
    """

    supports_higher_order_operators = True

    def __init__(self, places: Places, kernels: StandInKernels | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places, self._kernels = places, kernels
        self._live: dict[int, Block] = {}
        self._blocks: list[Block] = []
        self._clock = self._held = self._peak = self._peak_clock = 0
        self._is_updating, self._updating_since = False, 0
        self._operations: dict[str, Counter[str]] = {}
        self._lines: dict[tuple[str, str], tuple[str, int] | None] = {}
        self._traffic: Counter[str] = Counter()
        self._sizes: Counter[int] = Counter()
        self._touched: dict[tuple[int, bool], int] = {}  # by an optimizer: by storage, and whether it's written
        self._written_views: dict[int, weakref.ref[Tensor]] = {}
        self._waits: dict[tuple[Place, str], int] = {}
        self.macs: Counter[tuple[str, str]] = Counter()
        self._formulas: Any = None

    # ------------------------------------------------------------------------------------------ what is told to it

    def hold(self, tensors: Iterable[Tensor], kind: str, layer: str) -> None:
        """Note tensors that are there from the start."""
        for tensor in tensors:
            # Optimizers count their steps on the host.
            self._note(tensor, kind, Place(layer), kind, kind != OPTIMIZER_STATE or tensor.ndim > 0)

    def call_gradients(self, gradients: Iterable[tuple[str, Tensor]]) -> None:
        """Note which storages are parameters' gradients, with the layers of these."""
        for layer, gradient in gradients:
            for storage in _storages(gradient):
                block = self._live.get(storage._cdata)
                if block is not None and block.kind == ACTIVATIONS:
                    block.kind, block.place = GRADIENTS, Place(layer)

    def begin_update(self, *_: Any) -> None:
        """Note that the optimizer runs; a hook of it."""
        self._is_updating, self._updating_since = True, self._clock

    def end_update(self, *_: Any) -> None:
        """Note that the optimizer is done; a hook of it."""
        self._is_updating = False

    def count_macs(self) -> None:
        """Count multiply-adds, too."""
        self._formulas = flop_formulas()

    def is_on_device(self, tensor: Tensor) -> bool:
        """Return whether a tensor would be on the device: what is computed of weights or inputs, and no constant."""
        if type(tensor) is StandIn:
            return True
        blocks = [self._live.get(storage._cdata) for storage in _storages(tensor)]
        return self._kernels is None and any(one is not None and one.is_on_device for one in blocks)

    def note_wait(self, what: str) -> None:
        """Note that the host waits for a value here."""
        key = (self._places.here(), what)
        self._waits[key] = self._waits.get(key, 0) + 1

    # ------------------------------------------------------------------------------------------ operations

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch that no compiler has to be kept off, as none runs: for that it would import one."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is ASKS_FOR_DEVICE:
            return CPU if type(args[0]) is StandIn else func(*args)
        if any(map(_is_wrapper, types)):  # a nested tensor, for one: counted is what it runs
            return NotImplemented
        kwargs = kwargs or {}
        operation = operation_of(func)
        if operation.is_composite or isinstance(func, HigherOrderOperator):
            with self:
                out = _cond(*args) if operation.name == "cond" else func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        place = self._places.here()
        if self._written_views:
            self._count_written_views(args, place)
        out = func(*args, **kwargs) if self._kernels is None else self._kernels.run(func, args, kwargs)
        if not operation.is_view:
            self._count(func, operation, args, kwargs, out, place)
        return out

    def _count(self, func: Any, operation: Operation, args: Any, kwargs: Any, out: Any, place: Place) -> None:
        given = {id(one): one for one in _told(operation, args, kwargs)}
        if self._is_updating:
            place = self._place_of_update(given.values())
        name = _name(operation, out)
        is_on_device = any(map(self.is_on_device, given.values())) if given else operation.is_blank
        made = [one for one in _told(operation, out) if self._note(one, ACTIVATIONS, place, name, is_on_device)]
        written = {id(one): one for one in operation.written_tensors(args, kwargs)}
        waits = operation.waits or (operation.waits_for_masks and any(map(_is_mask, given.values())))
        if waits and is_on_device:
            self.note_wait(_SAYS.get(operation.name, operation.name))
        if operation.allocates or not (made or written or waits) or operation.name == "_local_scalar_dense":
            return
        read = [one for key, one in given.items() if key not in written or not operation.overwrites]
        moved = _read_bytes(operation, read, made) + sum(map(_bytes, made)) + sum(map(_bytes, written.values()))
        self._operations.setdefault(place.layer, Counter())[name] += 1
        self._lines.setdefault((place.layer, name), place.line)
        self._traffic[place.layer] += moved
        if self._is_updating:
            self._note_touched(read, False)
            self._note_touched(written.values(), True)
        else:
            self._sizes[moved] += 1
        if self._kernels is not None and not self._is_updating:
            views = (
                one for one in written.values() if one._is_view() and one.requires_grad and torch.is_grad_enabled()
            )
            self._written_views.update({id(one): weakref.ref(one) for one in views})
        if self._formulas is not None:
            self._count_macs(func, args, kwargs, out)

    def _count_written_views(self, args: Any, place: Place) -> None:
        """Count what it takes to differentiate a view that was written to, once it's used: a new gradient, and a copy.

        Of stand-ins torch differentiates the operation that made the view instead, which costs nothing.
        """
        for tensor in tensors_in(args):
            known = self._written_views.get(id(tensor))
            if known is not None and known() is tensor:
                del self._written_views[id(tensor)]
                self._operations.setdefault(place.layer, Counter()).update(("new_zeros", "copy_"))
                self._traffic[place.layer] += _bytes(tensor._base) + 2 * _bytes(tensor)  # type: ignore[arg-type]

    def _note_touched(self, tensors: Iterable[Tensor], is_written: bool) -> None:
        """Note what an optimizer reads or writes of what is there for good, as one that is fused does it only once."""
        for tensor in tensors:
            for storage in _storages(tensor):
                block = self._live.get(storage._cdata)
                if block is not None and block.born <= self._updating_since:
                    self._touched[storage._cdata, is_written] = block.size

    def _place_of_update(self, given: Iterable[Tensor]) -> Place:
        """Return the layer whose parameter or state the optimizer has at hand."""
        for tensor in given:
            for storage in _storages(tensor):
                block = self._live.get(storage._cdata)
                if block is not None and block.place.layer not in (OPTIMIZER, LOSS):
                    return Place(block.place.layer)
        return Place(OPTIMIZER)

    def _count_macs(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        formula = None if isinstance(func, HigherOrderOperator) else self._formulas.get(func._overloadpacket)
        if formula is not None:
            what = "convolution" if "conv" in func._schema.name else "matmul"
            dtype = next(tensors_in(args)).dtype
            self.macs[what, str(dtype).removeprefix("torch.")] += formula(*args, **kwargs, out_val=out) // 2

    # ------------------------------------------------------------------------------------------ storages

    def _note(self, tensor: Tensor, kind: str, place: Place, operation: str, is_on_device: bool) -> bool:
        """Note the storages of a tensor; return whether any of them is new."""
        is_new = False
        for storage in _storages(tensor):
            key, size = storage._cdata, storage.nbytes()
            known = self._live.get(key)
            if known is not None and known.size == size:
                continue
            if known is not None:
                self._free(key)
            block = Block(size, kind, place, operation, self._tick(size))
            block.is_on_device = is_on_device
            block.in_forward = torch._C._current_autograd_node() is None and not self._is_updating
            block.ref = weakref.ref(storage, partial(self._dies, key, block))
            self._live[key] = block
            self._blocks.append(block)
            is_new = True
        return is_new

    def _dies(self, key: int, block: Block, _: object) -> None:
        if self._live.get(key) is block:
            self._free(key)

    def _free(self, key: int) -> None:
        block = self._live.pop(key)
        block.died = self._tick(-block.size)

    def _tick(self, growth: int) -> int:
        self._clock += 1
        self._held += growth
        if self._held > self._peak:
            self._peak, self._peak_clock = self._held, self._clock
        return self._clock

    # ------------------------------------------------------------------------------------------ the result

    def record(self) -> CostRecord:
        """Return what the step cost."""
        layers: dict[str, LayerCost] = {}
        for name in [*self._places.calls, *self._operations]:
            layers.setdefault(name, LayerCost(calls=self._places.calls.get(name, 0)))
        for block in self._blocks:
            if block.born <= self._peak_clock and (block.died is None or block.died > self._peak_clock):
                layer = layers.setdefault(block.place.layer, LayerCost())
                layer.memory[block.kind] = layer.memory.get(block.kind, 0) + block.size
                if block.kind == ACTIVATIONS and block.in_forward:
                    layer.kept[block.operation] = layer.kept.get(block.operation, 0) + block.size
        for name, operations in self._operations.items():
            layers[name].operations.update(operations)
            layers[name].traffic = self._traffic[name]
        for (name, operation), line in self._lines.items():
            layers[name].lines[operation] = line
        waits = [Wait(place.layer, place.line, what, count) for (place, what), count in self._waits.items()]
        sizes = self._sizes + Counter([sum(self._touched.values())] if self._touched else [])
        return CostRecord(layers=layers, waits=waits, sizes=sizes, macs=dict(self.macs))


_SAYS: Final = {"_local_scalar_dense": ".item()", "equal": "torch.equal()"}


def _is_wrapper(kind: Any) -> bool:
    return kind not in _PLAIN and is_traceable_wrapper_subclass_type(kind)


def _cond(chosen: Any, if_true: Any, if_false: Any, operands: Any) -> Any:
    return (if_true if chosen else if_false)(*operands)


def _storages(tensor: Tensor) -> list[Any]:
    if tensor.layout is torch.strided:
        return [tensor.untyped_storage()]
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices().untyped_storage(), tensor._values().untyped_storage()]
    return []


def _name(operation: Operation, out: Any) -> str:
    """Return what an operation is called in records; a conversion with the dtype that it leads to."""
    if operation.name in _CASTS and isinstance(out, Tensor):
        return f"{operation.name} {str(out.dtype).removeprefix('torch.')}"
    return operation.name


def _told(operation: Operation, *values: Any) -> Iterator[Tensor]:
    """Yield the tensors that count: the workspace of oneDNN's recurrent layers is each machine's own."""
    is_recurrent = operation.name.startswith("mkldnn_rnn_layer")
    return (one for one in tensors_in(*values) if not (is_recurrent and one.dtype is torch.uint8))


def _is_mask(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.bool, torch.uint8)


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's elements; those that it only repeats are there once."""
    if tensor.layout is not torch.strided:
        return sum(storage.nbytes() for storage in _storages(tensor))
    number = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if stride or not size:
            number *= size
    return number * tensor.element_size()


def _read_bytes(operation: Operation, read: list[Tensor], made: list[Tensor]) -> int:
    if operation.reads_shape:
        return 0
    if operation.reads_rows and read and made:
        first, *others = read
        return min(_bytes(first), _bytes(made[0])) + sum(map(_bytes, others))
    return sum(map(_bytes, read))
