"""The sizes that a function is recorded at: small enough to be checked in seconds, large enough to show everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from archcheck.spec.dims import BATCH
from archcheck.spec.domains import DOMAIN_KEYS
from archcheck.spec.inputs import InputTree, parse_input
from archcheck.structure.records import ForwardRecord, StructureTrace, TensorRecord
from archcheck.structure.work import cost_of

TIME_SEC: Final = 2.0
MEMORY_BYTES: Final = 3 * 2**30
MAX_USUAL_PARAMS: Final = 130_000_000  # more of them need more memory
_MAX_BYTES_IN_DOUBLE: Final = 8 * 2**30
BATCHES: Final = (8, 4, 2)
SIDES: Final = (160, 128, 96, 64, 48, 32, 16)  # of a smaller image, where a network takes one
_LEAST_USUAL_SIDE: Final = 64  # below it networks that shrink an image have little left of it inside
_PARTS: Final = (2, 4, 8, 16)  # by which a sequence's length is divided
_LEAST_LENGTH: Final = 256  # of a sequence that may be shorter
_MIN_PLACES: Final = 64  # of a map or sequence inside a network, for a kernel to meet more than its padding
_USUAL_COST: Final = 120 * 10**7  # multiply-adds of the whole batch, which take a fraction of a second
_MAX_COST: Final = 15 * 10**9  # multiply-adds in what is left of 2 s of two cores in double precision
_MARGIN: Final = 1.2  # machines are not alike
_KEPT_SHARE: Final = 1.75  # of the elements that a forward makes: with their gradients, while those are computed
_NO_SHAPES: Final = ("literal", *DOMAIN_KEYS)  # keys of an input under which no shape stands
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
CountElements = Callable[[InputTree, Mapping[str, int], int], int]
"""Counts the elements that a forward pass makes, by the input's pattern, its sizes, and its cost."""


def plans(
    pattern: InputTree, value: Any, trace: StructureTrace, retrace: Retrace, count_elements: CountElements
) -> list[FunctionPlan]:
    """Plan the spec's own sizes and a batch of 8 where that's cheap; else fewer examples, or a smaller input.

    Further plans are for a network that can't be trained on a smaller input, or on one. `trace` is of the spec's sizes,
    `retrace` makes one of others. `value` is the input as the spec writes it, None where it can't be made smaller.
    """
    options = [*_at_own_sizes(pattern, trace)]
    least = min(options, key=lambda one: one.cost)
    usual = next((one for one in options if one.cost <= _USUAL_COST and one.is_steady), None)
    if usual is None:
        options += _at_smaller_inputs(value, trace, retrace)
        steady = [one for one in options if one.is_steady] or options
        usual = next((one for one in steady if one.cost <= _USUAL_COST), min(steady, key=lambda one: one.cost))
    chosen = [_of_one(usual), usual, _of_one(least), least]
    different = [one for i, one in enumerate(chosen) if one not in chosen[:i]]
    return [_with_budget(one, trace, count_elements(one.pattern, one.at, one.cost)) for one in different]


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


def _with_budget(plan: FunctionPlan, trace: StructureTrace, num_elements: int) -> FunctionPlan:
    """Grant more time and memory to a plan that needs it; what needs very much memory, single precision."""
    needed, precision = needed_bytes(trace, num_elements, "float64"), "float64"
    if needed > _MAX_BYTES_IN_DOUBLE:
        needed, precision = needed_bytes(trace, num_elements, "float32"), "float32"
    seconds = _MARGIN * _recording_sec(trace.root.num_params, len(trace.forwards[0].calls), plan.cost)
    budget = {"time": f"{math.ceil(seconds)} s"} if seconds > TIME_SEC else {}
    if trace.root.num_params > MAX_USUAL_PARAMS or needed > MEMORY_BYTES:
        budget["memory"] = f"{math.ceil(needed / 2**30) + 1} GiB"
    return replace(plan, budget=budget, precision=precision)


def needed_bytes(trace: StructureTrace, num_elements: int, precision: str) -> int:
    """Estimate the memory of weights, their largest gradients and a margin, and of what a step keeps of its forward.

    num_elements: that a forward pass makes; 0 where they're small beside the weights.
    """
    size, num_params = 8 if precision == "float64" else 4, trace.root.num_params
    gradients = max(0.5 * num_params, _num_of_largest_gradients(trace))
    return int(size * (num_params + gradients + _KEPT_SHARE * num_elements))


def _num_of_largest_gradients(trace: StructureTrace) -> int:
    """Return how many elements of gradients there are at once, when those of the largest layer are computed.

    Autograd copies a matrix's where it comes out transposed. Those of a weight that two layers share, as an embedding
    and the layer that undoes it, are kept until both are there, and added up; with what can't be used again in between
    that's four times as many (measured with language models of 0.3 to 2.6 billion parameters).
    """
    of_layers = [one.num_params for one in trace.modules.values() if not one.has_children]
    largest = max(of_layers)
    num_shared = min(sum(of_layers) - trace.root.num_params, largest)
    return max(2 * largest, 4 * num_shared)


def _recording_sec(num_params: int, num_calls: int, cost: int) -> float:
    """Estimate the time of recording on two cores, fitted to torchvision's classifiers (`benchmarks/function.py`)."""
    return 0.15 + 12e-9 * num_params + 2.3e-3 * num_calls + 0.12e-9 * cost


def _at_own_sizes(pattern: InputTree, trace: StructureTrace) -> Iterator[FunctionPlan]:
    """Plan each of the spec's sizes, with more examples first."""
    for forward in trace.forwards:
        yield from _plans_of(forward, trace, pattern)


def _plans_of(
    forward: ForwardRecord, trace: StructureTrace, pattern: InputTree, written: Any = None
) -> Iterator[FunctionPlan]:
    """Plan a forward pass with more examples first; `written` is its input where that isn't the spec's own."""
    batch = forward.sizes.get(BATCH)
    if batch is None:
        steady = _is_steady(forward, trace)
        yield FunctionPlan(pattern, dict(forward.sizes), cost_of(forward, trace), written, is_steady=steady)
        return
    for examples in BATCHES:
        cost, steady = cost_of(forward, trace) * examples // batch, _is_steady(forward, trace, examples, batch)
        yield FunctionPlan(pattern, {**forward.sizes, BATCH: examples}, cost, written, is_steady=steady)


def _at_smaller_inputs(value: Any, trace: StructureTrace, retrace: Retrace) -> Iterator[FunctionPlan]:
    """Plan the same for inputs that are smaller than the spec's own, as long as the same layers run."""
    first = trace.forwards[0]
    for smaller, is_small in _smaller_inputs(value):
        pattern = parse_input(smaller)
        forward = retrace(pattern, first.sizes).forwards[0]
        if forward.crash is not None or [call.name for call in forward.calls] != [call.name for call in first.calls]:
            continue
        if not is_small or _stays_wide(first, forward):
            yield from _plans_of(forward, trace, pattern, smaller)


def _smaller_inputs(value: Any) -> Iterator[tuple[Any, bool]]:
    """Yield an input with smaller images, or else shorter sequences, and whether they are unusually small.

    Whatever has the sizes of the largest image, as a mask has, gets the smaller ones, too.
    """
    shapes = list(_shapes_in(value))
    images = [shape[-2:] for shape in shapes if len(shape) > 3 and all(isinstance(size, int) for size in shape[-2:])]
    if images:
        largest = max(images, key=math.prod)
        for side in (side for side in SIDES if side < min(largest)):
            yield _with_sizes(value, dict.fromkeys(largest, side)), side < _LEAST_USUAL_SIDE
        return
    sizes = {size for shape in shapes for size in shape[1:] if isinstance(size, int) and size >= _LEAST_LENGTH}
    for size in sorted(sizes, reverse=True):
        for part in _PARTS:
            yield _with_sizes(value, {size: size // part}), True


def _shapes_in(value: Any) -> Iterator[list[Any]]:
    """Yield the shapes of an input as a spec writes it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _shapes_in(item) if key not in _NO_SHAPES else ()
    elif isinstance(value, list) and _is_shape(value):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _shapes_in(item)


def _with_sizes(value: Any, sizes: Mapping[int, int]) -> Any:
    """Return an input with other sizes in the place of some, behind the batch, and of images behind the channels."""
    if isinstance(value, dict):
        return {key: item if key in _NO_SHAPES else _with_sizes(item, sizes) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if not _is_shape(value):
        return [_with_sizes(item, sizes) for item in value]
    start = 2 if len(value) > 3 else 1
    return [*value[:start], *(sizes.get(size, size) for size in value[start:])]


def _is_shape(value: list[Any]) -> bool:
    return not any(isinstance(item, (list, dict)) for item in value)


def _stays_wide(usual: ForwardRecord, small: ForwardRecord) -> bool:
    """Return whether what is smaller inside with a smaller input still has enough places for all of a kernel."""
    for ours, theirs in zip(usual.calls, small.calls, strict=True):
        if not isinstance(ours.output, TensorRecord) or not isinstance(theirs.output, TensorRecord):
            continue
        pairs = list(zip(ours.output.shape, theirs.output.shape, strict=False))[1:]
        changed = [size for size_before, size in pairs if size != size_before]
        if changed and math.prod(changed) < _MIN_PLACES:
            return False
    return True
