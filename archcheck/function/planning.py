"""The sizes that a function is recorded at: small enough to be checked in seconds, large enough to show everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from archcheck.spec.dims import BATCH
from archcheck.spec.inputs import InputPattern, InputTree, parse_input
from archcheck.structure.records import ForwardRecord, StructureTrace, TensorRecord
from archcheck.structure.work import cost_of

TIME_SEC: Final = 2.0
MEMORY_BYTES: Final = 2 * 2**30
MAX_USUAL_PARAMS: Final = 130_000_000  # more of them need more memory
_MAX_PARAMS_IN_DOUBLE: Final = 700_000_000  # 8 GiB
BATCHES: Final = (8, 4, 2)
SIDES: Final = (160, 128, 96, 64)  # of a smaller image, where a network takes one
_USUAL_COST: Final = 120 * 10**7  # multiply-adds of the whole batch, which take a fraction of a second
_MAX_COST: Final = 15 * 10**9  # multiply-adds in what is left of 2 s of two cores in double precision
_MARGIN: Final = 1.2  # machines are not alike
_MIN_VALUES: Final = 8  # that a batch norm has of each channel: of two it makes 1 and -1, and rounding decides which


@dataclass(frozen=True, slots=True)
class FunctionPlan:
    """The sizes of the input with which a function is recorded, and the precision in which it's computed.

    Attributes:
        pattern: of the input.
        at: sizes by dimension name.
        cost: of a forward of the whole batch, in multiply-adds.
        input: the pattern as a spec writes it, None where it's the spec's own.
        budget: time and memory, where more is needed than usual.
        is_steady: whether each batch norm has enough values of each channel in train mode.
    """

    pattern: InputTree
    at: Mapping[str, int]
    cost: int
    input: Any = None
    precision: str = "float64"
    budget: Mapping[str, str] | None = None
    is_steady: bool = True

    def as_section(self) -> dict[str, Any]:
        """Return the first keys of a spec's `function`, without defaults."""
        keys = {"input": self.input, "at": dict(self.at), "budget": dict(self.budget or {})}
        section = {key: value for key, value in keys.items() if value}
        return section if self.precision == "float64" else {**section, "precision": self.precision}


Retrace = Callable[[InputTree, Mapping[str, int]], StructureTrace]


def plans(
    pattern: InputTree, trace: StructureTrace, retrace: Retrace, *, may_be_smaller: bool = True
) -> list[FunctionPlan]:
    """Plan the spec's own sizes and a batch of 8 where that's cheap; else fewer examples, or a smaller image.

    Further plans are for a network that can't be trained on a smaller image, or on one. `trace` is of the spec's sizes,
    `retrace` makes one of others. `may_be_smaller`: whether a smaller image goes with all other inputs.
    """
    options = [*_at_own_sizes(pattern, trace)]
    least = min(options, key=lambda one: one.cost)
    usual = next((one for one in options if one.cost <= _USUAL_COST and one.is_steady), None)
    if usual is None:
        options += _at_smaller_images(pattern, trace, retrace) if may_be_smaller else ()
        steady = [one for one in options if one.is_steady] or options
        usual = next((one for one in steady if one.cost <= _USUAL_COST), min(steady, key=lambda one: one.cost))
    chosen = [_of_one(usual), usual, _of_one(least), least]
    different = [one for i, one in enumerate(chosen) if one not in chosen[:i]]
    return [_with_budget(one, trace) for one in different]


def _is_steady(forward: ForwardRecord, trace: StructureTrace, examples: int = 1, batch: int = 1) -> bool:
    """Return whether every batch norm has enough values of each channel, with `examples` where `batch` were run."""
    shapes = [
        call.output.shape
        for call in forward.calls
        if "BatchNorm" in trace.modules[call.name].type_name and isinstance(call.output, TensorRecord)
    ]
    counts = (math.prod(shape) // shape[1] * examples // batch for shape in shapes if len(shape) > 1 and shape[1])
    return all(count >= _MIN_VALUES for count in counts)


def _of_one(plan: FunctionPlan) -> FunctionPlan:
    """Reduce the batch to one example where it is too much."""
    if plan.cost <= _MAX_COST or BATCH not in plan.at:
        return plan
    return replace(plan, at={**plan.at, BATCH: 1}, cost=plan.cost // plan.at[BATCH])


def _with_budget(plan: FunctionPlan, trace: StructureTrace) -> FunctionPlan:
    """Grant more time and memory to a plan that needs it."""
    num_params = trace.root.num_params
    precision = "float64" if num_params <= _MAX_PARAMS_IN_DOUBLE else "float32"
    seconds = _MARGIN * _recording_sec(num_params, len(trace.forwards[0].calls), plan.cost)
    budget = {"time": f"{math.ceil(seconds)} s"} if seconds > TIME_SEC else {}
    if num_params > MAX_USUAL_PARAMS:
        budget["memory"] = f"{math.ceil(needed_bytes(trace, precision) / 2**30) + 1} GiB"
    return replace(plan, budget=budget, precision=precision)


def needed_bytes(trace: StructureTrace, precision: str) -> int:
    """Estimate the memory of weights, their largest gradients and a margin.

    Activations are small beside them at the sizes that are chosen.
    """
    size = 8 if precision == "float64" else 4
    return int(trace.root.num_params * size * 1.5)


def _recording_sec(num_params: int, num_calls: int, cost: int) -> float:
    """Estimate the time of recording on two cores, fitted to torchvision's classifiers (`benchmarks/function.py`)."""
    return 0.15 + 12e-9 * num_params + 2.3e-3 * num_calls + 0.12e-9 * cost


def _at_own_sizes(pattern: InputTree, trace: StructureTrace) -> Iterator[FunctionPlan]:
    """Plan each of the spec's sizes, with more examples first."""
    for forward in trace.forwards:
        batch = forward.sizes.get(BATCH)
        if batch is None:
            steady = _is_steady(forward, trace)
            yield FunctionPlan(pattern, dict(forward.sizes), cost_of(forward, trace), is_steady=steady)
            continue
        for examples in BATCHES:
            cost, steady = cost_of(forward, trace) * examples // batch, _is_steady(forward, trace, examples, batch)
            yield FunctionPlan(pattern, {**forward.sizes, BATCH: examples}, cost, is_steady=steady)


def _at_smaller_images(pattern: InputTree, trace: StructureTrace, retrace: Retrace) -> Iterator[FunctionPlan]:
    """Plan the same for images that are smaller than the spec's own, as long as the same layers run."""
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
            batch = first.sizes[BATCH]
            cost, steady = cost_of(forward, trace) * examples // batch, _is_steady(forward, trace, examples, batch)
            yield FunctionPlan(smaller, {**first.sizes, BATCH: examples}, cost, shape, is_steady=steady)
        if BATCH not in first.sizes:
            steady = _is_steady(forward, trace)
            yield FunctionPlan(smaller, dict(first.sizes), cost_of(forward, trace), shape, is_steady=steady)
