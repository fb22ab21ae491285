"""Notes on one pass: the operations, the calls of modules and the tensors in it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import Compute, Key, OpCall, Source
from archcheck.function.fingerprint.digests import tensors_in


class PassStopped(BaseException):
    """Ends a forward pass of which nothing more is wanted; no network's `except Exception` catches it."""


@dataclass(slots=True)
class NotedOp:
    """An operation in a pass.

    Attributes:
        module: the innermost module that called it.
        is_nested: whether it ran in a module within the layer.
        running: the calls of modules that it ran in.
        site: the place in the code that called it.
        path: that, and the places that called that.
    """

    position: int
    call: OpCall
    module: str
    is_nested: bool
    running: tuple[Key, ...]
    site: Key
    path: tuple[Key, ...] = ()


@dataclass(slots=True)
class ReplayableCall:
    """A finished call of a module, from one position to another, with a copy of its output to be used in a rerun."""

    start: int
    end: int
    value: Any
    _lent: Any = None
    _versions: tuple[int, ...] = ()

    def lend(self) -> Any:
        """Return another copy of the output; the last one, if nothing was written to it."""
        if self._lent is None or self._versions != tuple(one._version for one in tensors_in(self._lent)):
            self._lent = copied(self.value)
            self._versions = tuple(one._version for one in tensors_in(self._lent))
        return self._lent


@dataclass(slots=True)
class RunningCall:
    """A running call of a module; so many operations, sources and returns had been noted when it began."""

    name: str
    index: int
    start: int
    num_ops: int
    num_sources: int
    num_returns: int


@dataclass(slots=True)
class PassNotes:
    """Notes on one pass up to the layer's return; of modules that ended before the layer began, only the output.

    Attributes:
        replayable: by module and number of the call.
        sources: tensors that existed from a position on.
        returns: what modules gave, each as an operation that gives its argument.
        window_start: the position at which the last of the modules before the layer had returned.
        numbers: by module, those among its attributes by name, where they aren't whole or tell nothing.
        own: the network's own tensors, by identity.
        called: the modules that were called, behind the layer, too.
        taken: by identity, the network's own tensors and the outputs of `ops` that any operation of the pass took.
        is_whole: whether the pass went on to its end, such that what isn't in these is used nowhere.
    """

    ops: list[NotedOp] = field(default_factory=list)
    replayable: dict[Key, ReplayableCall] = field(default_factory=dict)
    sources: list[tuple[int, Source]] = field(default_factory=list)
    returns: list[NotedOp] = field(default_factory=list)
    window_start: int = 0
    called: set[str] = field(default_factory=set)
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    own: frozenset[int] = frozenset()
    taken: set[int] = field(default_factory=set)
    is_whole: bool = False
    _made: set[int] = field(default_factory=set)

    def add_op(self, op: NotedOp) -> None:
        """Note an operation."""
        self.ops.append(op)
        self._made.add(id(op.call.out))

    def add_taken(self, tensors: Iterable[Tensor]) -> None:
        """Note what an operation takes, as far as it's kept here: no other tensor gets its identity, then."""
        self.taken.update(id(one) for one in tensors if id(one) in self._made or id(one) in self.own)

    def forget_since(self, call: RunningCall) -> None:
        """Forget the operations, tensors and returns that were noted since a call began, and the calls in it."""
        gone = {id(one.call.out) for one in self.ops[call.num_ops :]}
        del self.ops[call.num_ops :], self.sources[call.num_sources :], self.returns[call.num_returns :]
        kept = {id(one.call.out) for one in self.ops} & gone  # what a function returned as it came
        self._made -= gone - kept
        self.taken -= gone - kept - self.own
        while self.replayable:  # they were noted in the order in which they returned
            key, last = self.replayable.popitem()
            if last.end <= call.start:
                self.replayable[key] = last
                return

    def forget_calls_with(self, positions: Iterable[int]) -> None:
        """Let the calls of modules run again that have some operations in them.

        Those that draw must: how a number is drawn depends on how many were drawn before.
        """
        drawing = sorted(positions)
        for key, call in list(self.replayable.items()):
            i = bisect_left(drawing, call.start)
            if i < len(drawing) and drawing[i] < call.end:
                del self.replayable[key]

    def add_sources(self, position: int, key: Key, value: Any, text: str) -> None:
        """Note the tensors in the input or the output of a module."""
        values = [*value[0], *value[1].values()] if key[0] == "in" else value
        for number, tensor in enumerate(_tensors_unseen(values)):
            self.sources.append((position, Source((*key, number), text, tensor)))


@dataclass(slots=True)
class SubstitutionPlan:
    """Operations that are computed otherwise in the next pass.

    Attributes:
        computes: by position, what is computed in an operation's place.
        needed: the keys of other tensors that this takes.
        fetched: those tensors, as far as the pass has got.
        known_as: by a key in `needed`, another that the tensor is kept under.
        mode_only: whether they concern train mode or eval mode alone.
    """

    computes: Mapping[int, Compute] = field(default_factory=dict)
    needed: frozenset[Key] = frozenset()
    fetched: dict[Key, Tensor] = field(default_factory=dict)
    known_as: Mapping[Key, Key] = field(default_factory=dict)
    mode_only: bool = False

    def fetch(self, key: Key, value: Any) -> None:
        """Keep the tensors in a value that are needed."""
        if self.needed:
            for number, tensor in enumerate(_tensors_unseen(value)):
                one = (*key, number)
                if one in self.needed:
                    self.fetched[self.known_as.get(one, one)] = tensor


def _tensors_unseen(value: Any) -> list[Tensor]:
    """Return the tensors and numbers in a value, such that making a tensor of a number is no operation of the pass."""
    with torch._C.DisableTorchFunction():
        return list(tensors_in(value))


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's own parameters, buffers and other tensors, by name."""
    held = {**module._parameters, **module._buffers, **vars(module)}
    return {name: one for name, one in held.items() if isinstance(one, Tensor)}


def own_numbers(module: nn.Module) -> dict[str, float]:
    """Return the floats among a module's attributes, by name, but 0, 1 and what isn't finite."""
    held = {name: one for name, one in vars(module).items() if isinstance(one, float)}
    return {name: one for name, one in held.items() if math.isfinite(one) and abs(one) not in (0.0, 1.0)}


def has_tensor(out: Any) -> bool:
    """Return whether an output is a tensor, or a sequence that begins with one."""
    return isinstance(out, Tensor) or (isinstance(out, tuple | list) and bool(out) and isinstance(out[0], Tensor))


def copied(value: Any) -> Any:
    """Copy tensors in lists and tuples, which later operations may write to; None for what can't be copied."""
    if isinstance(value, Tensor):
        with torch._C.DisableTorchFunction():
            return value.clone()
    if type(value) in (tuple, list):
        parts = [copied(item) for item in value]
        is_lost = any(part is None and item is not None for part, item in zip(parts, value, strict=True))
        return None if is_lost else type(value)(parts)
    return None
