"""On what a function is recorded: small enough to be checked in seconds, large enough to show everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from archcheck.records import StructureTrace
from archcheck.values import BATCH, InputPattern, InputTree, parse_input

TIME_SEC: Final = 2.0
MEMORY_BYTES: Final = 2 * 2**30
LARGEST_USUAL: Final = 130_000_000  # parameters: more of them need more of both
_LARGEST_IN_DOUBLE: Final = 700_000_000  # parameters: 8 GiB
BATCHES: Final = (8, 4, 2)
SIDES: Final = (160, 128, 96, 64)  # of a smaller image, where a network takes one
_USUAL_MACS: Final = 12 * 10**8  # of the whole batch: what takes a fraction of a second
_MOST_MACS: Final = 10 * 10**9  # what is left of 2 s of two cores in double precision


@dataclass(frozen=True, slots=True)
class FunctionPlan:
    """What goes in where a function is recorded, and in which precision it's computed.

    pattern: of the input; `input` is that as a spec has it, None where it's the spec's own. macs: of the whole batch.
    """

    pattern: InputTree
    at: Mapping[str, int]
    macs: int
    input: Any = None
    precision: str = "float64"
    budget: Mapping[str, str] | None = None

    def as_section(self) -> dict[str, Any]:
        """The first keys of a spec's `function`, without what is usual."""
        keys = {"input": self.input, "at": dict(self.at), "budget": dict(self.budget or {})}
        section = {key: value for key, value in keys.items() if value}
        return section if self.precision == "float64" else {**section, "precision": self.precision}


Retrace = Callable[[InputTree, Mapping[str, int]], StructureTrace]


def plans(pattern: InputTree, trace: StructureTrace, retrace: Retrace) -> list[FunctionPlan]:
    """The spec's own sizes and a batch of 4 where that's cheap; else fewer examples, or a smaller image.

    Further plans are for a network that can't be trained on a smaller image, or on one. `trace` is of the spec's sizes,
    `retrace` makes one of others.
    """
    options = [*_at_own_sizes(pattern, trace)]
    least = min(options, key=lambda one: one.macs)
    usual = next((one for one in options if one.macs <= _USUAL_MACS), None)
    if usual is None:
        options += _at_smaller_images(pattern, trace, retrace)
        usual = next((one for one in options if one.macs <= _USUAL_MACS), min(options, key=lambda one: one.macs))
    chosen = [_of_one(usual), usual, _of_one(least), least]
    different = [one for i, one in enumerate(chosen) if one not in chosen[:i]]
    return [_with_budget(one, trace.root.num_params) for one in different]


def _of_one(plan: FunctionPlan) -> FunctionPlan:
    """One example where a batch is too much."""
    if plan.macs <= _MOST_MACS or BATCH not in plan.at:
        return plan
    return replace(plan, at={**plan.at, BATCH: 1}, macs=plan.macs // plan.at[BATCH])


def _with_budget(plan: FunctionPlan, num_params: int) -> FunctionPlan:
    """More time and memory for what needs it, written down."""
    scale = max(num_params / LARGEST_USUAL, plan.macs / _MOST_MACS)
    budget = {"time": f"{math.ceil(TIME_SEC * scale) + 1} s"} if scale > 1 else {}
    precision = "float64" if num_params <= _LARGEST_IN_DOUBLE else "float32"
    if num_params > LARGEST_USUAL:
        size = 8 if precision == "float64" else 4
        budget["memory"] = f"{math.ceil(num_params * size * 1.5 / 2**30) + 1} GiB"
    return replace(plan, budget=budget, precision=precision)


def _at_own_sizes(pattern: InputTree, trace: StructureTrace) -> Iterator[FunctionPlan]:
    """At each of the spec's sizes, with more examples first."""
    for forward in trace.forwards:
        batch = forward.sizes.get(BATCH)
        if batch is None:
            yield FunctionPlan(pattern, dict(forward.sizes), forward.macs)
            continue
        for examples in BATCHES:
            yield FunctionPlan(pattern, {**forward.sizes, BATCH: examples}, forward.macs * examples // batch)


def _at_smaller_images(pattern: InputTree, trace: StructureTrace, retrace: Retrace) -> Iterator[FunctionPlan]:
    """The same for images that are smaller than those the spec speaks of, as long as the same layers run."""
    if not isinstance(pattern, InputPattern) or len(pattern.dims) != 4:
        return
    texts = [dim.text for dim in pattern.dims]
    if not (texts[2].isdecimal() and texts[3].isdecimal()):
        return
    first = trace.forwards[0]
    for side in (side for side in SIDES if side < min(int(texts[2]), int(texts[3]))):
        shape = [*(int(text) if text.isdecimal() else text for text in texts[:2]), side, side]
        smaller = parse_input(shape)
        forward = retrace(smaller, first.sizes).forwards[0]
        if forward.crash is not None or [call.name for call in forward.calls] != [call.name for call in first.calls]:
            continue
        for examples in BATCHES if BATCH in first.sizes else ():
            macs = forward.macs * examples // first.sizes[BATCH]
            yield FunctionPlan(smaller, {**first.sizes, BATCH: examples}, macs, shape)
        if BATCH not in first.sizes:
            yield FunctionPlan(smaller, dict(first.sizes), forward.macs, shape)
