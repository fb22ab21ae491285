"""Brute force, without archcheck: whether a case differs from the original, and where first.

Both networks get the same weights, by name for defects and by order of first use for rewrites, and the same input in
float64. What every module returns in eval and in train mode, gradients, buffers and constant initial values are
compared in full.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from .values import Inputs, are_equal, flatten, make_inputs, to_strided
from .weights import NEGATIVE, VARIANTS, Fill, fill_by_name, fill_by_use, find_given, load

TOLERANCE: Final = 1e-10
OUTPUT: Final = "output"


Call = tuple[str, list[Tensor]]


@dataclass(slots=True)
class Observation:
    """Everything that a network did: calls in the order in which they finished, then values by owner's name.

    `buffers` has the parameters that the forward itself writes, too; `moved` are those of both that a training step
    writes, without the count of batches, which has no influence. `later_calls` are in eval mode again, after that step.
    """

    eval_calls: list[Call] = field(default_factory=list)
    train_calls: list[Call] = field(default_factory=list)
    gradients: list[Call] = field(default_factory=list)
    buffers: list[Call] = field(default_factory=list)
    moved: list[Call] = field(default_factory=list)
    initial: list[Call] = field(default_factory=list)
    later_calls: list[Call] = field(default_factory=list)

    def stages(self) -> list[list[Call]]:
        """In the order in which they are compared."""
        return [self.eval_calls, self.train_calls, self.gradients, self.buffers, self.initial]


def find_first_differences(original: str, changed: str, inputs: tuple[str, ...]) -> list[str]:
    """The names that the first module to differ may be called by, with the same weights by name in both.

    Where one network calls a module that the other doesn't call, that one and the first common one that differs are
    both right, unless it stands in another's place. Where only gradients differ, so are the first in the order of
    execution and the first on the way back.
    """
    found = (_find_first_differences(original, changed, inputs, variant) for variant in VARIANTS)
    return next((names for names in found if names), [])


def _find_first_differences(original: str, changed: str, inputs: tuple[str, ...], variant: str) -> list[str]:
    one, other = (observe(source, inputs, fill_by_name, variant) for source in (original, changed))
    for ours, theirs in ((one.eval_calls, other.eval_calls), (one.train_calls, other.train_calls)):
        if found := _first_calls(ours, theirs):
            return found
    names = [name for (name, ours), (_, theirs) in _in_pairs(one.gradients, other.gradients) if not _same(ours, theirs)]
    inner = [name for name in names if name != OUTPUT] or names
    if inner:
        return [inner[0], inner[-1]]
    for ours, theirs in ((one.buffers, other.buffers), (one.initial, other.initial)):
        names = [name for (name, a), (_, b) in _in_pairs(ours, theirs) if not _same(a, b)]
        if names or len(ours) != len(theirs):
            return names[:1] or ["a number"]
    return _first_calls(one.later_calls, other.later_calls)


def _in_pairs(ours: list[Call], theirs: list[Call]) -> list[tuple[Call, Call]]:
    """Calls of one name and the same number among those of that name."""
    mine, others = _numbered(ours), _numbered(theirs)
    return [(mine[key], others[key]) for key in mine if key in others]


def _numbered(calls: list[Call]) -> dict[tuple[str, int], Call]:
    numbered: dict[tuple[str, int], Call] = {}
    for call in calls:
        index = sum(name == call[0] for name, _ in numbered)
        numbered[call[0], index] = call
    return numbered


def _first_calls(ours: list[Call], theirs: list[Call]) -> list[str]:
    mine, others = _numbered(ours), _numbered(theirs)
    agreeing = {key for key in mine.keys() & others.keys() if _same(mine[key][1], others[key][1])}
    common = next((key for key in others if key in mine and key not in agreeing), None)
    names = [common[0]] if common else []
    for before, after in zip(mine, others, strict=False):
        if after == common == before:
            return names
        if before != after:  # a call that the other doesn't make, or not here
            lone = [key[0] for key in (before, after) if key not in agreeing]
            if len(mine) == len(others):
                return lone or names
            return [
                key[0] for key in (before, after) if key not in agreeing and not (key in mine and key in others)
            ] + names
    return names or [key[0] for key in (*mine, *others) if not (key in mine and key in others)][:1]


def is_equivalent(original: str, changed: str, inputs: tuple[str, ...]) -> bool:
    """True when outputs, gradients and buffers agree, with the same weights by order of first use."""
    return all(_is_equivalent(original, changed, inputs, variant) for variant in (VARIANTS[0], NEGATIVE))


def _is_equivalent(original: str, changed: str, inputs: tuple[str, ...], variant: str) -> bool:
    one, other = (observe(source, inputs, fill_by_use, variant) for source in (original, changed))
    if not all(_same(one.stages()[mode][-1][1], other.stages()[mode][-1][1]) for mode in (0, 1)):
        return False
    if not _same(one.later_calls[-1][1], other.later_calls[-1][1]):
        return False
    pairs = ((one.gradients, other.gradients), (one.moved, other.moved), (one.initial, other.initial))
    return all(
        _same_in_any_order(*([value for _, found in calls for value in found] for calls in pair)) for pair in pairs
    )


def _same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(_close(a, b) for a, b in zip(ours, theirs, strict=True))


def _same_in_any_order(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    left = list(theirs)
    for tensor in ours:
        match = next((index for index, other in enumerate(left) if _close(tensor.squeeze(), other.squeeze())), None)
        if match is None:
            return False
        left.pop(match)
    return not left


def _close(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    a, b = to_strided(a.detach()).double(), to_strided(b.detach()).double()
    largest = max((float(x[x.isfinite()].abs().max()) for x in (a, b) if x.isfinite().any()), default=0.0)
    return torch.allclose(a, b, rtol=0, atol=TOLERANCE * max(largest, 0.01), equal_nan=True)


# ---------------------------------------------------------------------------------------------- one network


def observe(source: str, inputs: tuple[str, ...], fill: Fill, variant: str) -> Observation:
    """Run the network that a source text builds, in eval and in train mode; in eval mode alone if the other dies."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # so that a table and the same table computed on the fly agree
    try:
        return _observe(source, make_inputs(inputs), fill, variant)
    finally:
        torch.set_default_dtype(before)


def _observe(source: str, made: Inputs, fill: Fill, variant: str) -> Observation:
    model, seen = load(source).double(), Observation(initial=_constants(source))
    fill(model, source, made, variant)
    before = {name: value.detach().clone() for name, value in _state(model)}
    order: list[str] = []
    seen.eval_calls = _run_in_eval_mode(model, made)
    _seed(1)
    seen.train_calls = _run_in_train_mode(model, made, order)
    if seen.train_calls[-1][1]:
        _backward(seen.train_calls[-1][1])
    else:
        _backward(_run(model.eval(), made, order)[-1][1])
    seen.gradients = sorted(
        _gradients(model, find_given(source)), key=lambda one: order.index(one[0]) if one[0] in order else len(order)
    )
    moved = dict(_moved(model, before))
    kept = {**dict(model.named_buffers()), **moved}
    seen.buffers = [(_owner(name), [value.detach().clone()]) for name, value in kept.items()]
    seen.moved = [(_owner(name), [value.detach().clone()]) for name, value in moved.items()]
    seen.later_calls = _run_in_eval_mode(model, made)
    return seen


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def _run_in_eval_mode(model: nn.Module, made: Inputs) -> list[Call]:
    try:
        with torch.no_grad():
            return _run(model.eval(), made)
    except RuntimeError as error:  # of those that ask for gradients in the forward
        if "does not require grad" not in str(error):
            raise
        return _run(model.eval(), made)


def _run_in_train_mode(model: nn.Module, made: Inputs, order: list[str]) -> list[Call]:
    try:
        return _run(model.train(), made, order)
    except (RuntimeError, ValueError, TypeError, AssertionError):  # by design, as without targets
        return [(OUTPUT, [])]


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _moved(model: nn.Module, before: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in _state(model):
        known = name in before and not name.endswith("num_batches_tracked")  # a table may be made at first use
        if known and not _same([before[name]], [value]):
            yield name, value


def _constants(source: str) -> list[Call]:
    """The parameters that start with the same values under every seed; of the others, that they don't."""
    first, second = (dict(load(source, seed).named_parameters()) for seed in (0, 1))
    return [
        (_owner(name), [value.detach()] if are_equal(value, second[name]) else [])
        for name, value in first.items()
        if name not in find_given(source)
    ]


def _owner(name: str) -> str:
    return name.rpartition(".")[0] or OUTPUT


def _gradients(model: nn.Module, given: frozenset[str]) -> list[Call]:
    return [
        (_owner(name), [] if value.grad is None else [value.grad.clone()])
        for name, value in model.named_parameters()
        if name not in given
    ]


def _run(model: nn.Module, made: Inputs, order: list[str] | None = None) -> list[Call]:
    """Every call of every module; those inside a transform of torch.func hold no values of their own."""
    calls: list[Call] = []

    def remember(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            tensors = flatten(output)
            if not any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors):
                calls.append((name, [tensor.clone() for tensor in tensors]))

        return hook

    handles = [
        module.register_forward_hook(remember(name))
        for name, module in model.named_modules()
        if name and not isinstance(module, torch.jit.ScriptModule)  # which takes no hooks
    ]
    calls.append((OUTPUT, [tensor.clone() for tensor in flatten(made.run(model))]))
    for handle in handles:
        handle.remove()
    if order is not None:
        order += [name for name, _ in calls]
    return calls


def _backward(outputs: list[Tensor]) -> None:
    total = sum((out * torch.cos(torch.arange(out.numel(), dtype=out.dtype)).view_as(out)).sum() for out in outputs
                if out.is_floating_point() and out.requires_grad)  # fmt: skip
    assert isinstance(total, Tensor)
    total.backward()  # type: ignore[no-untyped-call]
