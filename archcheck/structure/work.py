"""The work of a forward pass in multiply-adds, and as many threads for it as it is worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass_type
from torch.utils._pytree import tree_leaves

from archcheck.network.isolation import gc_paused
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.building import build_on_meta, isolated_build
from archcheck.structure.meta.formulas import flop_formulas
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.module_tree import set_training
from archcheck.structure.records import CallRecord, ForwardRecord, StructureTrace, TensorRecord
from archcheck.system.processors import cpu_share, fitting_threads

_MACS_PER_ELEMENT: Final = 60  # that take as long as an element that an operation returns, depthwise above all
_MIN_DIVIDED: Final = 2**15  # elements; what has fewer, and no multiply-adds, torch leaves to one thread
_TURN_MACS: Final = 15 * 10**7  # of a trial: some milliseconds
_NUM_TURNS: Final = 5  # together longer than another process has a core before its next turn
_LEAST_GAIN: Final = 1.2  # of products by more threads: of a network's other operations it's less
_TRIAL_HOLDS_SEC: Final = 10.0


def cost_of(forward: ForwardRecord, trace: StructureTrace) -> int:
    """Return the cost of a forward pass in multiply-adds: its own, and some for each element that a layer returns."""
    shapes = [call.output.shape for call in _layers_of(forward, trace) if isinstance(call.output, TensorRecord)]
    return forward.macs + _MACS_PER_ELEMENT * sum(map(math.prod, shapes))


def _layers_of(forward: ForwardRecord, trace: StructureTrace) -> list[CallRecord]:
    return [call for call in forward.calls if not trace.modules[call.name].has_children]


def count_made_elements(make: Callable[[], nn.Module], item: ForwardInput) -> int:
    """Count the elements that the operations of a forward pass make, between its layers as well, without values.

    Nothing is counted behind what can't be run without values.

    Raises:
        BuildError: or whatever else `make()` raises.
    """
    with isolated_build([item]), gc_paused():
        model = build_on_meta(make)
        set_training(model, False)
        args, kwargs = make_inputs(item, "meta")
        counter = WorkCounter()
        try:
            with torch.no_grad(), counter:
                model(*args, **kwargs)
        except Exception:
            pass
    return counter.num_elements


def allowed_threads() -> int:
    """Return the most threads to compute with: as many as torch has been told, within this process's share."""
    return min(torch.get_num_threads(), cpu_share())


def paying_threads(work_per_operation: float, allowed: int) -> int:
    """Return with how many threads to compute operations of so many multiply-adds on the CPU.

    What pays nowhere, or anywhere, is told by the work. Between them it's up to the machine, whether its processors are
    whole cores and who else is busy on them: then a trial tells.
    """
    anywhere, alone = fitting_threads(work_per_operation, allowed)
    if anywhere == alone:
        return anywhere
    period = int(time.monotonic() / _TRIAL_HOLDS_SEC)
    return alone if _is_faster(alone, anywhere, round(work_per_operation ** (1 / 3)), period) else anywhere


@lru_cache(maxsize=8)
def _is_faster(many: int, few: int, side: int, period: int) -> bool:
    """Return whether more threads multiply square matrices faster, taking turns with few ones; the last ones stay set.

    period: within one the answer holds.
    """
    del period
    matrix = torch.ones(side, side)

    def seconds(num_threads: int) -> float:
        torch.set_num_threads(num_threads)
        start = time.perf_counter()
        for _ in range(1 + _TURN_MACS // side**3):
            torch.mm(matrix, matrix)
        return time.perf_counter() - start

    turns = [(seconds(few), seconds(many)) for _ in range(_NUM_TURNS)]
    by_few, by_many = map(sum, zip(*turns, strict=True))
    return by_few > _LEAST_GAIN * by_many


@contextmanager
def threads_fitted_to_trace(trace: StructureTrace, times: float = 1.0) -> Iterator[None]:
    """Compute inside with as many threads as are worth it for a traced network, on inputs so many times as large."""
    before, forward = torch.get_num_threads(), trace.forwards[0]
    work = times * cost_of(forward, trace) / max(1, len(_layers_of(forward, trace)))
    torch.set_num_threads(paying_threads(work, allowed_threads()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_fitted_from_here(device: torch.device) -> Iterator[None]:
    """Watch a forward pass of a batch; from then on torch computes on the CPU with as many threads as it is worth.

    The caller restores torch's settings.
    """
    allowed = allowed_threads()
    if device.type != "cpu" or allowed == 1:
        yield
        return
    with WorkCounter() as counter:
        yield
    torch.set_num_threads(paying_threads(counter.work / max(1, counter.num_operations), allowed))


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations inside that compute anything, and their work as `cost_of` does that of layers.

    num_elements: what all operations have made, in memory of its own.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing dynamo for it, which takes seconds."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.num_operations = self.work = self.num_elements = 0
        self._formulas = flop_formulas()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(map(is_traceable_wrapper_subclass_type, types)):  # a nested tensor, for one: counted is what it runs
            return NotImplemented
        outputs = func(*args, **(kwargs or {}))
        if not isinstance(func, HigherOrderOperator) and not func.is_view:
            self._count(func, args, kwargs or {}, outputs)
        return outputs

    def _count(self, func: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        if any(isinstance(one, Tensor) and one.is_nested for one in tree_leaves((args, kwargs, outputs))):
            return
        num_elements = sum(one.numel() for one in tree_leaves(outputs) if isinstance(one, Tensor))
        given = {_memory_of(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        made = (one for one in tree_leaves(outputs) if isinstance(one, Tensor) and _memory_of(one) not in given)
        self.num_elements += sum(one.numel() for one in made)
        formula = self._formulas.get(func._overloadpacket)
        if formula is not None or num_elements >= _MIN_DIVIDED:
            macs = 0 if formula is None else formula(*args, **kwargs, out_val=outputs) // 2
            self.num_operations += 1
            self.work += macs + _MACS_PER_ELEMENT * num_elements


def _memory_of(tensor: Tensor) -> int | None:
    """Return what is the same for all tensors in one memory; None for one that has none."""
    return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else None
