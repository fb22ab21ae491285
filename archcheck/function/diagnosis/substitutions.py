"""Computations to try in the place of an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from archcheck.function.diagnosis.op_calls import OUTPUT, Compute, Key, OpCall, Slot, Unary


@dataclass(frozen=True, slots=True)
class Substitution:
    """A computation to try in an operation's place.

    Attributes:
        text: what is wrong with the network if this gives the recorded numbers.
        needed: the keys of other tensors that it takes.
        mode_only: whether it concerns train mode or eval mode alone.
        role: the same as `text` at all places where the same is wrong, where that names a place.
    """

    text: str
    compute: Compute
    needed: tuple[Key, ...] = ()
    mode_only: bool = False
    role: str = ""

    @property
    def mistake(self) -> str:
        """What is undone, wherever that is."""
        return self.role or self.text


SubstitutionRule = Callable[[OpCall], Iterator[Substitution]]


def _done_after(text: str, change: Unary, mode_only: bool) -> Substitution:
    """Apply a function to an operation's output, or the first of several."""

    def compute(call: OpCall) -> Any:
        out = call.run()
        if isinstance(out, Tensor):
            return change(out)
        return rebuilt(out, change(out[0]))

    return Substitution(text, compute, mode_only=mode_only)


def rebuilt(out: Any, first: Tensor) -> Any:
    """Return several outputs with another first one, in their own type, which `max(dim)` has."""
    parts = (first, *out[1:])
    return parts if type(out) is tuple else type(out)(parts)


def done_before(text: str, slot: Slot, change: Unary, mode_only: bool = False) -> Substitution:
    """Apply a function to one of an operation's arguments."""

    def compute(call: OpCall) -> Any:
        return call.with_operand(slot, change(operand_at(call, slot))).run()

    return Substitution(text, compute, mode_only=mode_only)


def operand_at(call: OpCall, slot: Slot) -> Any:
    """Return the tensor that is an operation's argument at `slot`."""
    return dict(call.operands)[slot]


def is_data(tensor: Tensor) -> bool:
    """Return whether a tensor is computed, and no weight."""
    return tensor.is_floating_point() and not isinstance(tensor, nn.Parameter)


def missing_around(
    call: OpCall, noun: str, change: Unary, fits: Callable[[Tensor], bool], *, mode_only: bool = False
) -> Iterator[Substitution]:
    """Apply a function to the output, and to each argument that no operation nearby computed for this one alone."""
    if fits(call.result):
        where = "at the end" if call.name == OUTPUT else f"after {call.name}"
        yield _done_after(f"{noun} is missing {where}", change, mode_only)
    for slot, tensor in call.operands:
        if slot in call.insertion_slots and fits(tensor):
            yield done_before(f"{noun} is missing before {call.name}", slot, change, mode_only)


def instead(text: str, function: Unary) -> Substitution:
    """Apply another function to the first tensor."""
    return Substitution(text, lambda call: function(call.x))


def article(word: str) -> str:
    """Return a word with its article: `a relu`, `an elu`."""
    return f"{'an' if word[:1] in 'aeio' or word[:3] in ('hsw', 'rms') else 'a'} {word}"
