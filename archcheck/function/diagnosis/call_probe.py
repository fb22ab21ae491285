"""A watcher for one call of one module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import nn

from archcheck.function.diagnosis import op_watcher
from archcheck.function.diagnosis.op_calls import Key, OpCall, the_output
from archcheck.function.diagnosis.op_watcher import OpWatcher, calling_code, run_replaced
from archcheck.function.diagnosis.pass_notes import (
    NotedOp,
    PassNotes,
    PassStopped,
    ReplayableCall,
    RunningCall,
    copied,
    has_tensor,
)
from archcheck.function.fingerprint.call_digests import DigestingWatcher
from archcheck.function.fingerprint.digests import Digest, tensors_in
from archcheck.function.records import DifferingCall
from archcheck.network import forward_watcher
from archcheck.network.forward_watcher import uncompiled_forward

READABLE_TOLERANCE: Final = 1e-3  # relative: of numbers that are recorded for people to read
_MIN_GAIN: Final = 30.0  # by how much nearer a number comes where its cause is undone
_CALLING_MODULES: Final = (__file__, op_watcher.__file__, forward_watcher.__file__, nn.modules.module.__file__)
RETURN_POSITION: Final = sys.maxsize  # of what a layer returns, behind all operations


@dataclass(frozen=True, slots=True)
class TargetCall:
    """A call of a module, and what was recorded of it."""

    call: DifferingCall
    tolerance: float

    @property
    def key(self) -> Key:
        """The module's name and the index of the call."""
        return (self.call.name, self.call.index)

    @property
    def kind(self) -> str:
        """The pass that differs: "eval", "train" or "large"."""
        return self.call.kind

    @property
    def expected(self) -> Mapping[str, float]:
        """The recorded numbers."""
        return self.call.numbers

    def fits(self, found: Digest | None) -> bool:
        """Return whether a digest is the recorded one."""
        if found is None or not self._is_close(found.check, self.kind, self.tolerance):
            return False
        return self.kind != "eval" or self._is_close(found.rms, "rms", max(self.tolerance, READABLE_TOLERANCE))

    def is_restored(self, found: Digest | None, before: Digest) -> bool:
        """Return whether a digest is the recorded one where the one before wasn't, and far closer to it.

        Else something that makes a difference as small as that of an epsilon disappear would be taken for its cause.
        """
        if self.fits(before):
            return self.fits(found)
        if not self.fits(found) or found is None:
            return False
        recorded = self.expected[self.kind]
        was, is_now = abs(before.check - recorded), abs(found.check - recorded)
        return is_now <= self.tolerance * abs(recorded) / 3 and not is_now > was / _MIN_GAIN > 0

    def _is_close(self, number: float, key: str, tolerance: float) -> bool:
        recorded = self.expected.get(key, number)
        return abs(number - recorded) <= tolerance * abs(recorded)


class CallProbe(DigestingWatcher):
    """Takes the digest of one call of one module, and ends the pass there, where no notes are taken.

    Calls of modules that the last notes have an output of, and that nothing is replaced in, don't run again.

    Attributes:
        is_awake: while False, the modules run as if nobody watched.
        digest: of the target's output, None where the pass hasn't reached it.
        draw_positions: of the operations that drew random numbers, where that was asked for.
    """

    def __init__(self, target: TargetCall, ops: OpWatcher) -> None:
        super().__init__()
        self._target, self._ops = target, ops
        self._replayable: Mapping[Key, ReplayableCall] = {}
        self._replay_limit = 0
        self.is_awake = False
        self.digest: Digest | None = None
        self.draw_positions: list[int] = []

    def wake(self, replayable: Mapping[Key, ReplayableCall], replay_limit: int) -> None:
        """Watch the next pass; calls that end by the position `replay_limit` needn't run."""
        self.digest, self.is_awake = None, True
        self._replayable, self._replay_limit = replayable, replay_limit

    def sleep(self) -> None:
        """Let modules run as if nobody watched."""
        self.is_awake = False

    def note_draw(self, name: str) -> None:
        """Remember the operation that drew random numbers, and the module that was running."""
        if self._ops.is_behind:
            return
        super().note_draw(name)
        self.draw_positions.append(self._ops.position - 1)  # it has been counted already

    def note_final_output(self, name: str, out: Any) -> None:
        """Take the target's output again, where the module has hooks of its own."""
        is_target = (name, self._counts.get(name)) == self._target.key
        if self.is_awake and is_target and not self._ops.is_behind:
            self._finish(out)

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        """Return the module's forward, wrapped such that it is noted, replayed, or ends the pass."""
        run = uncompiled_forward(module)

        def forward(*args: Any, **kwargs: Any) -> Any:
            if not self.is_awake:
                return run(*args, **kwargs)
            index = self._counts[name] = self._counts.get(name, -1) + 1
            if self._ops.notes is not None:
                self._ops.notes.called.add(name)
            if self._ops.is_behind:
                return run(*args, **kwargs)
            finished = self._finished_call((name, index))
            self._ops.plan.fetch(("in", name, index), (args, kwargs))
            if finished is not None:
                self._ops.position = finished.end
                out = finished.lend()
                self._ops.plan.fetch(("out", name, index), out)
                return out
            return self._run(name, index, module, lambda: run(*args, **kwargs), (args, kwargs))

        return forward

    def _run(self, name: str, index: int, module: nn.Module, run: Callable[[], Any], inputs: Any) -> Any:
        ops, notes = self._ops, self._ops.notes
        is_target = (name, index) == self._target.key
        before, num_running = ops.depth, len(ops.running)
        if notes is not None:
            notes.add_sources(ops.position, ("in", name, index), inputs, f"the input of {name or 'the network'}")
        num_noted = (len(notes.ops), len(notes.sources), len(notes.returns)) if notes else (0, 0, 0)
        call = RunningCall(name, index, ops.position, *num_noted)
        ops.running.append(call)
        ops.depth += bool(before or is_target)
        self._running.append(name)
        try:
            out = run()
        except Exception:  # which the network may catch, and go on
            ops.depth = before
            del ops.running[num_running:], self._running[num_running:]
            raise
        if ops.is_behind:
            ops.note_taken(tensors_in(out) if not name else ())
            return out
        end, out = ops.return_from_module(out)
        returned = self._noted_return(end, out, module)
        if is_target:
            if notes is not None:
                notes.returns += returned
            return out if module._forward_hooks else self._finish(out)
        ops.plan.fetch(("out", name, index), out)
        ops.depth = before
        del ops.running[num_running:], self._running[num_running:]
        if notes is not None:
            self._note_finished(notes, call, out)
            notes.returns += returned
        return out

    def _noted_return(self, position: int, out: Any, module: nn.Module) -> list[NotedOp]:
        """Return what a module that is about to return gives, as an operation; nothing where that is no tensor."""
        ops = self._ops
        if ops.notes is None or not has_tensor(out):
            return []
        call = OpCall(the_output, (out,), {}, out=out, mode=ops.mode)
        site = (*calling_code(_CALLING_MODULES), type(module))
        return [NotedOp(position, call, ops.running[-1].name, ops.depth > 1, ops.running_keys(), site)]

    def _note_finished(self, notes: PassNotes, call: RunningCall, out: Any) -> None:
        """Note a finished call of a module; of what ends before anything differs, only the output can matter.

        The first call that differs may end before the layer does begin, which returns next and has numbers: what ran
        in that call matters, and what the same code did behind it.
        """
        position, key, inner = self._ops.position, (call.name, call.index), self._target.call.inner
        if not self._ops.depth and key != inner and inner not in notes.replayable:
            notes.forget_since(call)
        if not self._ops.depth:
            notes.window_start = position
        notes.add_sources(position, ("out", *key), out, f"the output of {call.name or 'the network'}")
        notes.replayable[key] = ReplayableCall(call.start, position, copied(out))

    def _finished_call(self, key: Key) -> ReplayableCall | None:
        """Return the call's output from the notes, where it needn't run again."""
        call = self._replayable.get(key)
        if call is None or call.value is None or call.end > self._replay_limit or call.start != self._ops.position:
            return None
        needed_ops = (one[1] for one in self._ops.plan.needed if one[0] == "op")
        return None if any(call.start <= position < call.end for position in needed_ops) else call

    def _finish(self, out: Any) -> Any:
        """Take the digest of the target's output, and end the pass, unless what is used behind it is to be noted."""
        ops = self._ops
        compute = ops.plan.computes.get(RETURN_POSITION)
        call = OpCall(the_output, (out,), {}, fetched=ops.plan.fetched, mode=ops.mode)
        if compute is not None:
            out = run_replaced(call, compute)
        self.digest = self._digest(out)
        if ops.notes is not None and call.operands and not any(one.call.out is out for one in ops.notes.ops):
            call = replace(call, out=out if has_tensor(out) else None)
            name = self._target.call.name
            ops.notes.add_op(NotedOp(RETURN_POSITION, call, name, False, ops.running_keys(), ()))
        if ops.notes is None:
            raise PassStopped
        ops.is_behind = True
        return out
