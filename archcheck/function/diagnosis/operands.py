"""Operands that came in another order, were other tensors, or are missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import OUTPUT, Key, OpCall, Slot, Source
from archcheck.function.diagnosis.substitutions import Substitution, done_before, is_data, operand_at, rebuilt

_Join = Callable[[Tensor, Tensor], Tensor]


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Yield other orders of a few things, the reverse first."""
    usual = tuple(range(count))
    yield usual[::-1]
    if count <= 4:
        yield from (order for order in itertools.permutations(usual) if order not in (usual, usual[::-1]))
    else:
        yield from ((*usual[:i], usual[i + 1], usual[i], *usual[i + 2 :]) for i in range(count - 1))


def other_order(call: OpCall) -> Iterator[Substitution]:
    """Concatenate or split tensors in another order."""
    if call.name in ("cat", "stack", "hstack", "vstack") and call.args and isinstance(call.args[0], list | tuple):
        word = "concatenation" if call.name == "cat" else call.name
        yield from (_with_inputs_in(order, f"{word}: another order") for order in _orders(len(call.args[0])))
    if call.name == OUTPUT and isinstance(call.out, tuple | list):
        yield from (_with_outputs_in(order, "the outputs in another order") for order in _orders(len(call.out)))
    if call.name in ("chunk", "split", "unbind", "tensor_split", "split_with_sizes"):
        text = "the parts of a split in another order"
        yield from (_with_outputs_in(order, text) for order in _orders(len(call.out)))
        yield Substitution("the parts of a split interleaved when it was recorded", _interleaved)


def _with_inputs_in(order: Sequence[int], text: str) -> Substitution:
    def compute(call: OpCall) -> Any:
        return call.func([call.args[0][i] for i in order], *call.args[1:], **call.kwargs)

    return Substitution(text, compute)


def _with_outputs_in(order: Sequence[int], text: str) -> Substitution:
    def compute(call: OpCall) -> Any:
        parts = call.run()
        return tuple(parts[i] for i in order)

    return Substitution(text, compute)


def _interleaved(call: OpCall) -> Any:
    count, dim = len(call.run()), call.setting("dim") or 0
    apart: Tensor = call.x.unflatten(dim, (-1, count))  # type: ignore[no-untyped-call]
    return apart.unbind(dim + 1 if dim >= 0 else dim)


def exchanged_difference(call: OpCall) -> Iterator[Substitution]:
    """Exchange the sides of a difference or a quotient."""
    if call.name in ("sub", "div") and len(call.operands) == 2:
        yield _swapped(f"arguments of {call.name} changed places", *(slot for slot, _ in call.operands))


def exchanged_operands(call: OpCall) -> Iterator[Substitution]:
    """Exchange arguments of the same shape, or transpose one."""
    operands = [(slot, one) for slot, one in call.operands if slot[1] is None]
    for (one, a), (other, b) in itertools.combinations(operands[:5], 2):
        if a.shape == b.shape and call.name not in ("add", "mul", "sub", "div"):
            yield _swapped(f"arguments of {call.name} changed places", one, other)
    if call.name in ("matmul", "linear", "einsum"):
        for slot, tensor in call.operands:
            if tensor.ndim > 1 and tensor.shape[-1] == tensor.shape[-2]:
                yield done_before(f"{call.name}: an argument was transposed when it was recorded", slot, lambda x: x.mT)
    if call.name == "where" and len(call.args) == 3:
        yield Substitution(
            "the choices of where changed places", lambda it: torch.where(it.args[0], it.args[2], it.args[1])
        )
    if call.name in ("masked_fill", "where"):
        mask: Slot = (1 if call.name == "masked_fill" else 0, None)
        yield done_before(f"the mask of {call.name} the other way round", mask, torch.logical_not)


def _swapped(text: str, one: Slot, other: Slot) -> Substitution:
    def compute(call: OpCall) -> Any:
        return call.with_operand(one, operand_at(call, other)).with_operand(other, operand_at(call, one)).run()

    return Substitution(text, compute)


def missing_skip(call: OpCall) -> Iterator[Substitution]:
    """Add the input of a module that runs the operation."""
    yield from _missing_operand(call, [one for one in call.sources if one.is_input], "a skip connection", torch.add)


def missing_operand(call: OpCall) -> Iterator[Substitution]:
    """Add another earlier tensor, or multiply by any."""
    others = [one for one in call.sources if not one.is_input]
    yield from _missing_operand(call, others, "a skip connection", torch.add)
    yield from _missing_operand(call, call.sources, "a product", torch.mul)


def unused_operand(call: OpCall) -> Iterator[Substitution]:
    """Join what was computed and isn't used."""
    for source in call.sources:
        for noun, word, join in _JOINS if source.is_unused else ():
            begin = f"{noun} is missing: {source.text}, which is not used now, {word}"
            role = f"{noun}: {source.role}"
            if source.tensor.shape == call.result.shape and is_data(call.result):
                yield joined(f"{begin} what {call.name} gives", source.key, join, f"{role}, after {call.name}")
            for slot, tensor in call.operands:
                is_place = slot in call.insertion_slots or slot in source.later_than
                if is_place and tensor.shape == source.tensor.shape and is_data(tensor):
                    text = f"{begin} what goes into {call.name}"
                    yield _joined_before(text, source.key, join, slot, f"{role}, into {call.name} at {slot}")


_JOINS: Final[Sequence[tuple[str, str, _Join]]] = (
    ("a sum", "added to", torch.add),
    ("a product", "times", torch.mul),
    ("a difference", "subtracted from", torch.sub),
    ("a quotient", "that divides", torch.div),
)


def _missing_operand(call: OpCall, sources: Iterable[Source], noun: str, join: _Join) -> Iterator[Substitution]:
    for source in sources:
        begin = f"{noun} is missing: {source.text} {'added to' if join is torch.add else 'times'}"
        role = f"{noun}: {source.role}"
        if is_data(call.result) and source.tensor.shape == call.result.shape:
            yield joined(f"{begin} {call.name}", source.key, join, f"{role}, after {call.name}")
        for slot, tensor in call.operands:
            if slot in call.insertion_slots and tensor.shape == source.tensor.shape and is_data(tensor):
                text = f"{begin} what goes into {call.name}"
                yield _joined_before(text, source.key, join, slot, f"{role}, into {call.name} at {slot}")


def joined(text: str, key: Key, join: _Join, role: str) -> Substitution:
    """Join an earlier tensor to an operation's output, or the first of several."""

    def compute(call: OpCall) -> Any:
        out, other = call.run(), call.fetched[key]
        return join(out, other) if isinstance(out, Tensor) else rebuilt(out, join(out[0], other))

    return Substitution(text, compute, (key,), role=role)


def _joined_before(text: str, key: Key, join: _Join, slot: Slot, role: str) -> Substitution:
    def compute(call: OpCall) -> Any:
        return call.with_operand(slot, join(operand_at(call, slot), call.fetched[key])).run()

    return Substitution(text, compute, (key,), role=role)


def other_tensor(call: OpCall) -> Iterator[Substitution]:
    """Replace an argument by another tensor of its shape."""
    for slot, tensor in call.operands:
        for source in call.sources:
            if source.tensor is not tensor and source.tensor.shape == tensor.shape and _alike(source.tensor, tensor):
                nth = _nth(call, slot)
                role = f"{call.name} took {source.role}{nth}"
                yield _taking(f"{call.name} took {source.text}{nth}", slot, source.key, role)


def _taking(text: str, slot: Slot, key: Key, role: str) -> Substitution:
    return Substitution(text, lambda call: call.with_operand(slot, call.fetched[key]).run(), (key,), role=role)


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and not isinstance(other, nn.Parameter)


def _nth(call: OpCall, slot: Slot) -> str:
    data = [one for one, tensor in call.operands if not isinstance(tensor, nn.Parameter)]
    if len(data) < 2:
        return " when it was recorded"
    number = data.index(slot)
    return f" as its {('first', 'second', 'third')[number] if number < 3 else 'last'} argument when it was recorded"
