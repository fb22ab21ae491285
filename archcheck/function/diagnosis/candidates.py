"""The operations that may be wrong, in the order in which they are examined, and what to try at several of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from torch import nn

from archcheck.function.diagnosis.op_calls import Key, OpCall, Slot, Source
from archcheck.function.diagnosis.pass_notes import NotedOp, PassNotes, SubstitutionPlan, has_tensor
from archcheck.function.diagnosis.substitutions import Substitution, SubstitutionRule, operand_at

_MAX_SOURCES: Final = 24


def tiers_of(notes: PassNotes) -> Iterator[list[NotedOp]]:
    """Yield what ran last before the layer differed, what ran in modules within it, and what other code did before."""
    ops = notes.ops[::-1]
    yield [one for one in ops if not one.is_nested and one.position >= notes.window_start]
    yield [one for one in ops if one.is_nested]
    yield [one for one in ops if not one.is_nested and one.position < notes.window_start]


def insertion_slots_of(ops: Sequence[NotedOp]) -> dict[int, frozenset[Slot]]:
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


def sources_of(op: NotedOp, notes: PassNotes) -> list[Source]:
    """Return tensors of a fitting shape: the inputs of the modules that were running, then the latest first."""
    shapes = {tensor.shape for _, tensor in op.call.operands}
    if has_tensor(op.call.out):
        shapes.add(op.call.result.shape)
    sources = [one for position, one in notes.sources if position < op.position or one.key[0] != "op"]
    sources = [one for one in sources if one.tensor.shape in shapes]
    inputs = [one for one in sources if one.key[0] == "in" and one.key[1:3] in op.running]
    others = [one for one in sources if one.key[0] != "in"]
    unique = {id(one.tensor): one for one in (*others, *inputs)}
    ordered = [*reversed(inputs), *reversed(others)]
    return [one for one in ordered if unique[id(one.tensor)] is one][:_MAX_SOURCES]


def proposals(rule: SubstitutionRule, call: OpCall) -> Iterator[Substitution]:
    """Yield the substitutions of a rule; none where an operation was called in a way that it doesn't know."""
    with suppress(Exception):
        yield from rule(call)


def exchanges(tier: Sequence[NotedOp]) -> Iterator[tuple[str, SubstitutionPlan]]:
    """Yield two operations in the other order, one of which takes the other's output."""
    for later in tier:
        for earlier in tier:
            if not any(tensor is earlier.call.out for _, tensor in later.call.operands):
                continue
            for slot, tensor in earlier.call.operands:
                if not isinstance(tensor, nn.Parameter) and earlier.position < later.position:
                    text = f"{earlier.call.name} and {later.call.name} in the other order"
                    yield text, _exchange(earlier.position, later.position, slot)


def _exchange(earlier: int, later: int, slot: Slot) -> SubstitutionPlan:
    postponed: list[OpCall] = []

    def postpone(call: OpCall) -> Any:
        postponed[:] = [call]
        return operand_at(call, slot)

    return SubstitutionPlan({earlier: postpone, later: lambda call: postponed[0].with_operand(slot, call.run()).run()})


def repeated(rule: SubstitutionRule, tier: Sequence[NotedOp]) -> Iterator[tuple[str, SubstitutionPlan]]:
    """Yield the same substitution at all operations that one place in the code called."""
    by_place: dict[Key, list[NotedOp]] = {}
    for one in tier:
        by_place.setdefault((one.call.name, one.site), []).append(one)
    for ops in (ops for ops in by_place.values() if len(ops) > 1):
        by_text: dict[str, dict[int, Substitution]] = {}
        for one in ops:
            for substitution in proposals(rule, one.call):
                by_text.setdefault(substitution.text, {})[one.position] = substitution
        for text, at in by_text.items():
            if len(at) > 1:
                needed = frozenset(key for one in at.values() for key in one.needed)
                computes = {position: one.compute for position, one in at.items()}
                yield f"{text} ({len(at)} times)", SubstitutionPlan(computes, needed)
