"""Watching and replacing the operations of a pass."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from torch import Tensor
from torch.overrides import TorchFunctionMode

from archcheck.function.diagnosis.budget import Budget
from archcheck.function.diagnosis.op_calls import Compute, Key, OpCall, Source, operands_in, the_output
from archcheck.function.diagnosis.pass_notes import (
    NotedOp,
    PassNotes,
    PassStopped,
    RunningCall,
    SubstitutionPlan,
    copied,
    has_tensor,
)

_UNCHECKED: Final = ("_convert_indices_from_coo_to_csr", "_convert_indices_from_csr_to_coo")  # kernels without bounds
_VIEWS: Final = ("T", "mT", "H", "mH", "data", "real", "imag")  # attributes by which a tensor's values are taken
_PATH_LENGTH: Final = 6  # of calls within calls, through which helpers of a library are told apart by who called them
_INTERNAL_FILES: Final = ("overrides.py", "functional.py", "_tensor.py", "_jit_internal.py", __file__)


class OpWatcher(TorchFunctionMode):
    """Counts the operations of a pass, notes them or replaces some.

    Attributes:
        running: the calls of modules that are running, the innermost last.
        depth: how many of them are the layer or lie within it.
        position: the number of operations so far.
        is_behind: whether the layer has returned, and only what is taken is noted of the rest of the pass.
    """

    def __init__(self, mode: str, budget: Budget) -> None:
        super().__init__()
        self.mode, self._budget = mode, budget
        self.plan = SubstitutionPlan()
        self.notes: PassNotes | None = None
        self.running: list[RunningCall] = []
        self.depth = 0
        self.position = 0
        self.is_behind = False

    def begin(self, plan: SubstitutionPlan, notes: PassNotes | None) -> None:
        """Start another pass, with some operations replaced or with notes on all."""
        self.plan, self.notes = plan, notes
        self.position = self.depth = 0
        self.is_behind = False
        self.running.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__"):
            if getattr(func.__self__, "__name__", "") in _VIEWS:
                self.note_taken(args[:1])
            return func(*args, **(kwargs or {}))
        self._budget.check()
        if self.is_behind:
            self.note_taken(one for _, one in operands_in(args, kwargs or {}))
            return func(*args, **(kwargs or {}))
        position = self.position
        self.position += 1
        call = OpCall(func, args, kwargs or {}, fetched=self.plan.fetched, mode=self.mode)
        if name in _UNCHECKED and self.plan.computes:
            raise PassStopped  # it writes where other indices than the network's own lead it
        compute = self.plan.computes.get(position)
        self.note_taken(one for _, one in call.operands)
        out = call.run() if compute is None else run_replaced(call, compute)
        self.plan.fetch(("op", position), out)
        if self.notes is not None and has_tensor(out):
            self._note(self.notes, position, replace(call, out=out))
        return out

    def note_taken(self, tensors: Iterable[Tensor]) -> None:
        """Note what is taken, where notes are taken at all."""
        if self.notes is not None:
            self.notes.add_taken(tensors)

    def _note(self, notes: PassNotes, position: int, call: OpCall) -> None:
        module = self.running[-1].name if self.running else ""
        path = calling_path(_INTERNAL_FILES)
        notes.add_op(NotedOp(position, call, module, self.depth > 1, self.running_keys(), path[0], path))
        if isinstance(call.out, Tensor):
            notes.sources.append((position, Source(("op", position, 0), f"what {call.name} gave", call.out)))

    def return_from_module(self, out: Any) -> tuple[int, Any]:
        """Count the return of a module as an operation. Returns its position, and what comes back instead of `out`."""
        position = self.position
        compute = self.plan.computes.get(position)
        if compute is not None:
            self.position = -1
            out = run_replaced(OpCall(the_output, (out,), {}, fetched=self.plan.fetched, mode=self.mode), compute)
        self.position = position + 1  # whatever was computed instead
        return position, out

    def running_keys(self) -> tuple[Key, ...]:
        """Return the running calls of modules by name and index."""
        return tuple((one.name, one.index) for one in self.running)


def run_replaced(call: OpCall, compute: Compute) -> Any:
    """Compute something in an operation's place; the result is written to where an operation in place would write.

    Raises:
        PassStopped: it can't be computed.
    """
    try:
        if not call.is_in_place:
            return compute(call)
        slot, x = call.operands[0]
        out = compute(call.with_operand(slot, copied(x)))
        return x.copy_(out) if isinstance(out, Tensor) and out.shape == x.shape else out
    except Exception as error:
        raise PassStopped from error


def calling_code(internal_files: tuple[str, ...]) -> Key:
    """Return the place in the code that called, behind files whose names end so."""
    return calling_path(internal_files, 1)[0]


def calling_path(internal_files: tuple[str, ...], length: int = _PATH_LENGTH) -> tuple[Key, ...]:
    """Return the place in the code that called, behind files whose names end so, and the places that called that."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.endswith(internal_files):
        frame = frame.f_back
    places = [(frame.f_code, frame.f_lasti)]
    while frame.f_back is not None and len(places) < length:
        frame = frame.f_back
        places.append((frame.f_code, frame.f_lasti))
    return tuple(places)
