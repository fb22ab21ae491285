"""A network run on one input after another, mostly without weights, to see which it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import PydanticCustomError
from torch import nn
from torch.nn.parameter import is_lazy

from archcheck.discovery.layers import SEQUENCES
from archcheck.errors import ArchcheckError
from archcheck.network.isolation import gc_paused, isolated_user_code
from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES
from archcheck.spec.inputs import (
    MAX_ELEMENTS,
    ForwardInput,
    InputTree,
    input_names,
    iter_input_patterns,
    make_forward_input,
    parse_input,
)
from archcheck.structure.meta import failures
from archcheck.structure.meta.building import build_on_cpu, build_on_meta
from archcheck.structure.meta.module_tree import named_network, parameters_of
from archcheck.structure.records import (
    Crash,
    MappingRecord,
    SequenceRecord,
    StructureTrace,
    TensorRecord,
    ValueRecord,
)
from archcheck.structure.trace import trace_structure
from archcheck.structure.trace_run import TraceRequest, TraceRun

MAX_TRIALS: Final = 1500
MAX_REAL_TRIALS: Final = 12  # with weights, where these aren't small
BUDGET_SEC: Final = 12.0  # of processor time: what is found doesn't depend on what else the machine does
LONGER_SEC: Final = 2.0
LONGER_TRIALS: Final = 300  # so that a faster machine doesn't find something else
FURTHER_SEC: Final = 3.0
FURTHER_TRIALS: Final = 150
MAX_WALL_SEC: Final = 60.0  # for networks that wait
_MAX_REAL_BYTES: Final = 2**30
MAX_REAL_ELEMENTS: Final = 2**20  # of the inputs: what is larger takes memory by the gigabyte inside
_SMALL_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a network took an input.

    crash: where it stopped, None where it got through. faults: 0 where the batch comes out as it went in, 1 where it
    comes out otherwise, 2 where nothing that comes out depends on it. narrowest: the smallest side of an image inside.
    calls: the names of the modules called. takes_length_first: a layer inside takes sequences with the batch second,
    and got it first. goes_through_batch: a layer is called once for every example.
    """

    crash: Crash | None
    faults: int = 0
    narrowest: int | None = None
    calls: tuple[str, ...] = ()
    takes_length_first: bool = False
    goes_through_batch: bool = False


class Trials:
    """Runs one network on inputs, within a budget of time."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self._make = make
        with isolated_user_code(), gc_paused():
            self.model = build_on_meta(make)
        self.modules: Mapping[str, nn.Module] = named_network(self.model).modules
        self._has_embeddings = any(isinstance(one, nn.Embedding | nn.EmbeddingBag) for one in self.modules.values())
        self.count = 0
        self._real = 0
        self._last: tuple[str, Attempt] | None = None
        self._max_trials = MAX_TRIALS
        self._deadline = time.process_time() + BUDGET_SEC
        self._wall_deadline = time.monotonic() + MAX_WALL_SEC
        params = (param for param in parameters_of(self.model) if not is_lazy(param))
        num_bytes = sum(param.numel() * param.element_size() for param in params if param.is_meta)
        most = MAX_TRIALS if num_bytes <= _SMALL_BYTES else MAX_REAL_TRIALS
        self._max_real = most if num_bytes <= _MAX_REAL_BYTES else 0

    @property
    def is_over(self) -> bool:
        """Return whether the budget is used up."""
        is_late = time.process_time() > self._deadline or time.monotonic() > self._wall_deadline
        return self.count >= self._max_trials or is_late

    def shorten(self) -> None:
        """Leave a shorter time and fewer trials from now on: something was found, and it could only be better."""
        self._max_trials = min(self._max_trials, self.count + LONGER_TRIALS)
        self._deadline = min(self._deadline, time.process_time() + LONGER_SEC)

    def extend(self) -> None:
        """Leave a short time and few trials from now on, however much was used up: what was found lacks something."""
        self._max_trials = self.count + FURTHER_TRIALS
        self._deadline = time.process_time() + FURTHER_SEC

    def attempt(
        self, value: Any, sizes: Mapping[str, Sequence[int]] | None = None, *, is_likely: bool = False
    ) -> Attempt:
        """Run the network on an input as a spec has it: without weights, for real where that would not do.

        One that is likely is run for real whatever the reason for which it stopped. The one that was run last isn't
        run again, as it may have taken all of the time.
        """
        said = repr((value, sizes, is_likely))
        if self._last is None or self._last[0] != said:
            self._last = said, self._run(value, sizes or {}, is_likely=is_likely)
        return self._last[1]

    def _run(self, value: Any, sizes: Mapping[str, Sequence[int]], *, is_likely: bool) -> Attempt:
        try:
            tree = parse_input(value)
        except PydanticCustomError as error:
            return Attempt(Crash("", error.message()))
        self.count += 1
        undefined = input_names(tree).keys() - {BATCH, *sizes}
        if undefined:
            return Attempt(Crash("", f"{min(undefined)} has no sizes"))
        inputs = [make_forward_input(tree, binding) for binding in _bindings(tree, sizes)]
        if any(one.num_elements > MAX_ELEMENTS for one in inputs):
            return Attempt(Crash("", "no machine has the memory for this input"))
        try:
            trace = trace_structure(lambda: self.model, inputs, only_meta=True)
            if trace.died is not None and (is_likely or failures.tells_of_values(trace.died[1].error)):
                trace = self._run_for_real(inputs) or trace
            elif trace.died is None and (self._has_embeddings or _draws_indices(tree)):
                trace = self._run_for_real(inputs) or trace  # whether indices fit, only values tell
        except ArchcheckError as error:
            return Attempt(Crash("", str(error)))
        return _judged(trace, tree, self.modules)

    def _run_for_real(self, inputs: Sequence[ForwardInput]) -> StructureTrace | None:
        """Run with weights, if the network is small enough for it to be done a few times."""
        if self._real >= self._max_real or max(one.num_elements for one in inputs) > MAX_REAL_ELEMENTS:
            return None
        self._real += 1
        with isolated_user_code(), gc_paused():
            request = TraceRequest(lambda: self.model, lambda: build_on_cpu(self._make), inputs, None)
            return TraceRun(request.make_on_cpu(), request, device="cpu").run().make_trace()


def _draws_indices(tree: InputTree) -> bool:
    return any(pattern.domain.is_bounded for _, pattern in iter_input_patterns(tree))


def _bindings(tree: InputTree, sizes: Mapping[str, Sequence[int]]) -> list[dict[str, int]]:
    """Return the free dimensions at their first size and at their second, with a batch of two and one of three."""
    free = {name: tuple(sizes.get(name, DEFAULT_BATCH_SIZES)) for name in input_names(tree)}
    rounds = 2 if free else 1
    return [{name: values[min(i, len(values) - 1)] for name, values in free.items()} for i in range(rounds)]


def _judged(trace: StructureTrace, tree: InputTree, modules: Mapping[str, nn.Module]) -> Attempt:
    calls = tuple(call.name for call in trace.forwards[0].calls)
    if trace.died is not None:
        return Attempt(trace.died[1], calls=calls)
    faults, length_first = _faults(trace, tree), _takes_length_first(trace, modules)
    is_of_images = any(isinstance(one, nn.Conv2d | nn.ConvTranspose2d) for one in modules.values())
    narrowest = _narrowest(trace) if is_of_images else None  # elsewhere four sizes are those of pairs, or of heads
    return Attempt(None, max(faults, int(length_first)), narrowest, calls, length_first, _goes_through_batch(trace))


def _takes_length_first(trace: StructureTrace, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether a layer that takes [length, batch, features] got the batch first, or as the length."""
    if len(trace.forwards) < 2 or BATCH not in trace.forwards[0].sizes:
        return False
    batches = [forward.sizes[BATCH] for forward in trace.forwards]
    for calls in zip(*(forward.calls for forward in trace.forwards), strict=False):
        module = modules.get(calls[0].name)
        batch_first = getattr(getattr(module, "self_attn", module), "batch_first", None)
        if batch_first is None or not isinstance(module, SEQUENCES):
            continue
        shapes = [next(_tensors(call.output), ()) for call in calls]
        ranks = {len(shape) for shape in shapes}
        is_taken_for_steps = (ranks == {3} and not batch_first) or ranks == {2}
        by_batch = zip(shapes, batches, strict=True)
        if is_taken_for_steps and all(shape[0] == size != shape[1] for shape, size in by_batch):
            return True
    return False


def _goes_through_batch(trace: StructureTrace) -> bool:
    """Return whether a layer is called as many times as there are examples, or a multiple of that."""
    if len(trace.forwards) < 2 or BATCH not in trace.forwards[0].sizes:
        return False
    first, second = trace.forwards[:2]
    counts, others = first.num_calls(), second.num_calls()
    return first.sizes[BATCH] != second.sizes[BATCH] and any(
        number * second.sizes[BATCH] == others.get(name, 0) * first.sizes[BATCH] for name, number in counts.items()
    )


def _faults(trace: StructureTrace, tree: InputTree) -> int:
    by_input = [
        {position for position, dim in enumerate(pattern.dims) if BATCH in dim.names}
        for _, pattern in iter_input_patterns(tree)
    ]
    places_by_input = [places for places in by_input if places]
    places = set().union(*places_by_input)
    if not places:
        return 0
    outputs = [list(_tensors(forward.output)) for forward in trace.forwards]
    batches = [forward.sizes[BATCH] for forward in trace.forwards]
    columns = list(zip(*outputs, strict=False))
    if len(places_by_input) == 1 and any(_is_multiplied(column, batches) for column in columns[:1]):
        return 1
    if any(_is_kept(column, batches, places | {0}) for column in columns[:1]):
        return 0
    if any(_is_kept(column, numbers, {0}) for column in columns[:1] for numbers in _numbers_of_ids(trace, tree)):
        return 0
    return 1 if any(len(set(column)) > 1 for column in columns) else 2


def _numbers_of_ids(trace: StructureTrace, tree: InputTree) -> Iterator[list[int]]:
    """Yield how many ids each run got in a batch of sequences: what comes out may be one row for each."""
    for _, pattern in iter_input_patterns(tree):
        if pattern.dtype == "int64" and len(pattern.dims) == 2 and BATCH in pattern.names:
            yield [math.prod(pattern.make(forward.sizes).shape) for forward in trace.forwards]


def _is_multiplied(shapes: Sequence[tuple[int, ...]], batches: Sequence[int]) -> bool:
    """Return whether each example comes out with each other one, at two sizes of the batch."""
    return len(shapes) > 1 and all(shape.count(batch) > 1 for shape, batch in zip(shapes, batches, strict=True))


def _is_kept(shapes: Sequence[tuple[int, ...]], batches: Sequence[int], places: set[int]) -> bool:
    return any(
        all(len(shape) > place and shape[place] == batch for shape, batch in zip(shapes, batches, strict=True))
        for place in places
    )


def _tensors(value: ValueRecord | None) -> Iterator[tuple[int, ...]]:
    if isinstance(value, TensorRecord):
        yield value.shape
    elif isinstance(value, MappingRecord):
        for item in value.items.values():
            yield from _tensors(item)
    elif isinstance(value, SequenceRecord):
        for item in value.items:
            yield from _tensors(item)


def _narrowest(trace: StructureTrace) -> int | None:
    """Return the smallest side of the images that layers put out, None where there are none.

    What is pooled to one pixel doesn't count: to weigh channels with, between larger images, or at the end.
    """
    sides: list[int] = []
    pooled = len(trace.forwards[0].calls)
    for call in trace.forwards[0].calls:
        if "Pool" in trace.modules[call.name].type_name:
            pooled = len(sides)
        elif isinstance(call.output, TensorRecord) and len(call.output.shape) == 4:
            sides.append(min(call.output.shape[2:]))
    counted = [side for i, side in enumerate(sides) if side > 1 or (max(sides[i:]) == 1 and i < pooled)]
    return min(counted, default=None)
