"""The operations that may be wrong, in the order in which they are examined, and what to try at several of them."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.call_probe import RETURN_POSITION
from archcheck.function.diagnosis.op_calls import KeptNumber, Key, OpCall, Slot, Source
from archcheck.function.diagnosis.operands import joined
from archcheck.function.diagnosis.pass_notes import NotedOp, PassNotes, SubstitutionPlan, has_tensor
from archcheck.function.diagnosis.roles import seen_from
from archcheck.function.diagnosis.substitutions import Substitution, SubstitutionRule, is_data, operand_at
from archcheck.function.fingerprint.digests import tensors_in
from archcheck.function.fingerprint.storages import storage_key

_MAX_SOURCES: Final = 24
_MAX_RETURNS: Final = 30  # of modules that a skip connection may be missing around
_NEAREST: Final = 3  # operations that most is tried at before anything is tried at others
_LOOP: Final = 3  # more operations of one place in one call are of a loop, all of which differ where one does
_NUM_NEAR: Final = 3  # tiers of what the layer was computed from
_NUM_FEW: Final = 3  # groups of rules that propose little

Propose = Callable[[SubstitutionRule, NotedOp], Iterable[Substitution]]


def tiers_of(notes: PassNotes, inner: Key | None = None) -> Iterator[list[NotedOp]]:
    """Yield the operations in the order of suspicion, each once.

    That is what the first call that differs was computed from (`inner` inside the layer, or the layer itself), the
    nearest first, but for loops. Then what ran since the last call before it returned; what ran last before the layer
    differed, what ran in modules within it, and what other code did before.
    """
    ops, start, begun, end = notes.ops[::-1], 0, 0, RETURN_POSITION + 1
    if inner is not None and inner in notes.replayable:
        begun, end = notes.replayable[inner].start, notes.replayable[inner].end
        for key, call in notes.replayable.items():  # in the order in which they returned
            if key == inner:
                break
            start = call.end
    before = [one for one in ops if one.position < end]
    has_own = bool(before) and before[0].position >= begun  # else the call gives what it took, and nothing made that
    nearest = _by_data_flow(before, notes, end) if has_own else []
    in_loops = positions_in_loops(notes.ops)
    nearest = [one for one in nearest if one.position not in in_loops]
    seen = set[int]()
    for tier in (
        nearest[:_NEAREST],
        nearest[: 4 * _NEAREST],
        nearest,
        [one for one in ops if start <= one.position < end and end <= RETURN_POSITION],
        [one for one in ops if not one.is_nested and one.position >= notes.window_start],
        [one for one in ops if one.is_nested],
        [one for one in ops if not one.is_nested and one.position < notes.window_start],
    ):
        yield [one for one in tier if one.position not in seen]
        seen.update(one.position for one in tier)


def positions_in_loops(ops: Sequence[NotedOp]) -> set[int]:
    """Return the positions of operations that one place in the code called several times in one call of a module."""
    num_times = Counter((one.running, one.path) for one in ops)
    return {one.position for one in ops if num_times[one.running, one.path] > _LOOP}


def nearest_first(
    tiers: Sequence[list[NotedOp]], groups: Sequence[Sequence[SubstitutionRule]]
) -> Iterator[tuple[list[NotedOp], Sequence[SubstitutionRule]]]:
    """Yield what is to be tried at what: what the layer was computed from first, by all rules that propose little.

    tiers: the nearest operations first, as of `tiers_of`. groups: the rules that propose least first.
    """
    near, rest = tiers[:_NUM_NEAR], [one for tier in tiers[_NUM_NEAR:] for one in tier]
    few, many = groups[:_NUM_FEW], groups[_NUM_FEW:]
    for rules in few:
        yield from itertools.product(near, [rules])
    yield from itertools.product([rest], few[:-1])
    yield from itertools.product(near, many)
    yield from itertools.product([rest], [*few[-1:], *many])


def _by_data_flow(ops: Sequence[NotedOp], notes: PassNotes, end: int) -> list[NotedOp]:
    """Return what the last of some operations was computed from, the nearest first, back to what other calls gave.

    Calls that returned before differ in nothing. ops: the latest first.
    """
    given = {id(one.tensor) for at, one in notes.sources if one.key[0] == "out" and at < end}
    makers, writers = dict[int, list[NotedOp]](), dict[int | None, list[NotedOp]]()
    for one in ops:
        for tensor in tensors_in(one.call.out):
            makers.setdefault(id(tensor), []).append(one)
            if one.call.is_in_place:  # what it wrote is seen by whatever has the same memory
                writers.setdefault(storage_key(tensor), []).append(one)
    found, waiting, later = dict[int, NotedOp](), deque(ops[:1]), deque[NotedOp]()
    while waiting or later:
        one = waiting.popleft() if waiting else later.popleft()
        if one.position in found:
            continue
        found[one.position] = one
        for tensor in (tensor for _, tensor in one.call.operands if id(tensor) not in given):
            waiting += (it for it in makers.get(id(tensor), ()) if it.position < one.position)
            later += (it for it in writers.get(storage_key(tensor), ()) if it.position < one.position)
    return list(found.values())


def origin_of_nan(notes: PassNotes) -> list[NotedOp]:
    """Return the first operation that makes NaN of other numbers: behind it nothing can be told by its output."""
    for one in notes.ops:
        if _has_nan(one.call.result):
            return [] if any(_has_nan(tensor) for _, tensor in one.call.operands) else [one]
    return []


def _has_nan(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(tensor.isnan().any())


class OpContexts:
    """The operations of a pass with what the rules look at besides, made where an operation is examined."""

    def __init__(self, notes: PassNotes, factor: float | None, shift: float | None) -> None:
        self._factor, self._shift = factor, shift
        self._slots = _insertion_slots_of(notes.ops)
        self._sources = notes.sources
        self._positions = [position for position, _ in notes.sources]
        self._inputs: dict[Key, list[Source]] = {}
        for _, source in notes.sources:
            if source.is_input:
                self._inputs.setdefault(source.key[1:3], []).append(source)
        self._known: dict[int, OpCall] = {}
        self._made = {id(one.call.out): one.position for one in notes.ops}
        self._last = notes.ops[-1].call.out if notes.ops else None  # which the layer returns
        self._taken = notes.taken
        self._numbers = _numbers_of(notes)
        self._of_weights = _of_weights(notes.ops)
        self._knows_unused = notes.is_whole

    def call_of(self, op: NotedOp) -> OpCall:
        """Return an operation with its context."""
        if op.position not in self._known:
            self._known[op.position] = replace(
                op.call,
                insertion_slots=self._slots.get(op.position, frozenset()),
                sources=self._sources_of(op),
                output_factor=self._factor,
                output_shift=self._shift,
                numbers=self._numbers.get(op.module, ()),
                is_of_weights=op.position in self._of_weights,
            )
        return self._known[op.position]

    def _sources_of(self, op: NotedOp) -> list[Source]:
        """Return tensors of a fitting shape: the inputs of the modules that were running, then the latest first."""
        shapes = {tensor.shape for _, tensor in op.call.operands}
        if has_tensor(op.call.out):
            shapes.add(op.call.result.shape)
        found: dict[int, Source] = {}
        for position, one in self._earlier(op):
            if one.tensor.shape in shapes and id(one.tensor) not in found:
                found[id(one.tensor)] = self._seen_by(op, one, position)
                if len(found) == _MAX_SOURCES:
                    break
        return list(found.values())

    def _seen_by(self, op: NotedOp, source: Source, position: int) -> Source:
        """Return a tensor with what it is to an operation that may take it."""
        later = (slot for slot, one in op.call.operands if self._made.get(id(one), -1) < position)
        is_unused = (
            self._knows_unused
            and source.key[0] == "op"
            and id(source.tensor) not in self._taken
            and source.tensor is not self._last
        )
        return replace(source, role=_role_of(source, op), is_unused=is_unused, later_than=frozenset(later))

    def _earlier(self, op: NotedOp) -> Iterator[tuple[int, Source]]:
        for key in reversed(op.running):
            yield from ((-1, one) for one in reversed(self._inputs.get(key, [])))
        for i in range(bisect_right(self._positions, op.position) - 1, -1, -1):
            source = self._sources[i][1]
            if not source.is_input and source.key[:2] != ("op", op.position):
                yield self._positions[i], source


def _numbers_of(notes: PassNotes) -> dict[str, tuple[KeptNumber, ...]]:
    """Return by module the numbers that it keeps, each with whether one of its operations takes it."""
    taken: dict[str, set[float]] = {}
    for one in notes.ops:
        values = (*one.call.args, *one.call.kwargs.values())
        taken.setdefault(one.module, set()).update(it for it in values if isinstance(it, int | float))
    return {
        module: tuple(KeptNumber(name, value, value in taken.get(module, ())) for name, value in numbers.items())
        for module, numbers in notes.numbers.items()
    }


def _of_weights(ops: Sequence[NotedOp]) -> set[int]:
    """Return the positions of operations on parameters, and on what was computed from these, alone."""
    found, made = set[int](), set[int]()
    for one in ops:
        operands = [tensor for _, tensor in one.call.operands]
        if operands and all(isinstance(tensor, nn.Parameter) or id(tensor) in made for tensor in operands):
            found.add(one.position)
            made.add(id(one.call.out))
    return found


def _role_of(source: Source, op: NotedOp) -> str:
    """Say what a tensor is to an operation, such that it's the same in all layers that run the same code."""
    kind, name, *rest = source.key
    if kind == "op":
        return source.text
    if source.is_input and source.key[1:3] in op.running:
        return f"the input, {len(op.running) - op.running.index(source.key[1:3])} levels up, {rest[1:]}"
    return f"{kind} of {seen_from(op.module, name)}, {rest[1:]}"


def _insertion_slots_of(ops: Sequence[NotedOp]) -> dict[int, frozenset[Slot]]:
    """Return by position the arguments that no operation nearby has computed for that one alone."""
    computed = {id(one.call.out) for one in ops}
    num_uses: dict[int, int] = {}
    for one in ops:
        for _, tensor in one.call.operands:
            num_uses[id(tensor)] = num_uses.get(id(tensor), 0) + 1
    return {
        one.position: frozenset(
            slot
            for slot, tensor in one.call.operands
            if not isinstance(tensor, nn.Parameter) and (id(tensor) not in computed or num_uses[id(tensor)] > 1)
        )
        for one in ops
    }


def proposals(rule: SubstitutionRule, call: OpCall) -> Iterator[Substitution]:
    """Yield the substitutions of a rule; none where an operation was called in a way that it doesn't know."""
    with suppress(Exception):
        yield from rule(call)


def residuals(notes: PassNotes, inner: Key | None) -> Iterator[tuple[str, SubstitutionPlan, NotedOp]]:
    """Yield the input of a module added to what it gives, those nearest to `inner` first; then at all such calls.

    inner: the first call inside the layer that differs, or before it.
    """
    end = notes.replayable[inner].end if inner in notes.replayable else RETURN_POSITION
    for one in sorted(notes.returns, key=lambda it: abs(it.position - end))[:_MAX_RETURNS]:
        for substitution in _residual_at(one, notes):
            yield substitution.text, plan_of({one.position: substitution}), one
            everywhere = residuals_like(one, notes)
            if len(everywhere) > 1:
                yield substitution.text, plan_of(everywhere), one


def residuals_like(op: NotedOp, notes: PassNotes) -> dict[int, Substitution]:
    """Return by position the input of a module added to what it gives, wherever the same code calls one."""
    alike = (one for one in notes.returns if one.site == op.site)
    return {one.position: found for one in alike for found in _residual_at(one, notes)[:1]}


def _residual_at(op: NotedOp, notes: PassNotes) -> list[Substitution]:
    """Return the inputs of a module, each added to what it gives, where these are other numbers of the same shape."""
    name, key, given = op.module, op.running[-1], op.call.result
    return [
        joined(f"a skip connection is missing around {name}", source.key, torch.add, "around")
        for _, source in notes.sources
        if source.is_input and source.key[1:3] == key and name and _may_be_added(source.tensor, given)
    ]


def _may_be_added(one: Tensor, other: Tensor) -> bool:
    """Return whether a sum makes sense, and isn't a factor of two."""
    return one.shape == other.shape and is_data(one) and is_data(other) and not torch.equal(one, other)


def exchanges(tier: Sequence[NotedOp]) -> Iterator[tuple[str, SubstitutionPlan]]:
    """Yield two operations in the other order, one of which takes the other's output."""
    by_output = {id(one.call.out): one for one in tier}
    for later in tier:
        for _, taken in later.call.operands:
            earlier = by_output.get(id(taken))
            if earlier is None or earlier.position >= later.position:
                continue
            for slot, tensor in earlier.call.operands:
                if not isinstance(tensor, nn.Parameter):
                    text = f"{earlier.call.name} and {later.call.name} in the other order"
                    yield text, _exchange(earlier.position, later.position, slot)


def exchanges_behind(ops: Sequence[NotedOp], layer: Key) -> Iterator[tuple[str, SubstitutionPlan]]:
    """Yield exchanges of an operation in a call of a layer with one behind it: of the two, and of all such pairs."""
    by_position = {one.position: one for one in ops}
    by_code: dict[Key, list[tuple[str, SubstitutionPlan]]] = {}
    for text, plan in exchanges(ops):
        pair = [by_position[position] for position in sorted(plan.computes)]
        by_code.setdefault((text, *(one.site for one in pair)), []).append((text, plan))
        if layer in pair[0].running and layer not in pair[1].running:
            yield text, plan
    for same in by_code.values():
        positions = [position for _, plan in same for position in plan.computes]
        if len(same) > 1 and len(set(positions)) == len(positions):
            together = {position: compute for _, plan in same for position, compute in plan.computes.items()}
            yield f"{same[0][0]} ({len(same)} times)", SubstitutionPlan(together)


def _exchange(earlier: int, later: int, slot: Slot) -> SubstitutionPlan:
    postponed: list[OpCall] = []

    def postpone(call: OpCall) -> Tensor:
        postponed[:] = [call]
        taken: Tensor = operand_at(call, slot)
        return taken

    return SubstitutionPlan({earlier: postpone, later: lambda call: postponed[0].with_operand(slot, call.run()).run()})


def repeated(
    rule: SubstitutionRule, tier: Sequence[NotedOp], every: Sequence[NotedOp], propose: Propose
) -> Iterator[tuple[str, SubstitutionPlan]]:
    """Yield the same substitution at all operations that a place in the code called, where one of a tier is of it."""
    by_place: dict[Key, list[NotedOp]] = {(one.call.name, one.site): [] for one in tier}
    for one in every:
        by_place.get((one.call.name, one.site), []).append(one)
    for ops in (ops for ops in by_place.values() if len(ops) > 1):
        by_mistake: dict[str, dict[int, Substitution]] = {}
        for one in ops:
            for substitution in propose(rule, one):
                by_mistake.setdefault(substitution.mistake, {}).setdefault(one.position, substitution)
        for at in by_mistake.values():
            if len(at) > 1:
                yield f"{next(iter(at.values())).text} ({len(at)} times)", plan_of(at)


def plan_of(substitutions: Mapping[int, Substitution]) -> SubstitutionPlan:
    """Return the plan of a pass with some operations replaced, by position."""
    return SubstitutionPlan(
        {position: one.compute for position, one in substitutions.items()},
        frozenset(key for one in substitutions.values() for key in one.needed),
        mode_only=all(one.mode_only for one in substitutions.values()),
    )
