"""Where what each layer takes comes from: forward passes in which tensors are followed, for whoever wants to see it.

It is a pass of its own, so that a trace costs nothing more, and comes out as it does whether anybody looks or not.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from functools import partial

from torch import nn

from archcheck.network.isolation import gc_paused, isolated_user_code
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.building import isolated_build
from archcheck.structure.meta.flow_recorder import FlowNotes, FlowRecorder, JoinNote, Source
from archcheck.structure.records import FlowRecord, ForwardRecord, JoinRecord, StructureTrace, ValueRecord
from archcheck.structure.trace import request_to_build, request_to_copy
from archcheck.structure.trace_run import TraceRequest, TraceRun


def trace_flow(
    make: Callable[[], nn.Module], inputs: Sequence[ForwardInput], trace: StructureTrace
) -> FlowRecord | None:
    """Return where what the calls of a trace's first forward pass take comes from; None where that can't be seen.

    make: builds the network that was traced.
    """
    return _follow(lambda: request_to_build(make, inputs), trace, isolated_build(inputs))


def trace_model_flow(model: nn.Module, inputs: Sequence[ForwardInput], trace: StructureTrace) -> FlowRecord | None:
    """Return the same of a network that exists already, and is copied."""
    return _follow(lambda: request_to_copy(model, inputs), trace, isolated_user_code())


def _follow(
    make_request: Callable[[], TraceRequest], trace: StructureTrace, isolated: AbstractContextManager[None]
) -> FlowRecord | None:
    flows: list[FlowNotes] = []
    try:
        with isolated, gc_paused(), _told_once():
            request = make_request()
            model = request.make_on_meta() if trace.device == "meta" else request.make_on_cpu()
            run = TraceRun(model, request, device=trace.device, make_recorder=partial(FlowRecorder, flows)).run()
            return _as_record(run.forwards, flows, trace.forwards[0])
    except Exception:  # what can't be seen isn't drawn: it is no finding
        return None


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep what a network prints and warns of to itself: it has been told when the network was traced."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _as_record(
    forwards: Sequence[ForwardRecord], flows: Sequence[FlowNotes], traced: ForwardRecord
) -> FlowRecord | None:
    """Return the record of the first pass, if its calls are those of the trace."""
    names = tuple(call.name for call in forwards[0].calls)
    if names != tuple(call.name for call in traced.calls):
        return None
    first, *others = [_Settled(flow, forward) for flow, forward in zip(flows, forwards, strict=False)]
    is_alike = all(len(one.joins) == len(first.joins) for one in others)
    outputs = [
        tuple(one.joins[place].output for one in (first, *others)) if is_alike else ()
        for place in range(len(first.joins))
    ]
    return first.record(outputs)


class _Settled:
    """The notes of a pass, settled: joins that nobody takes are left out, and chains of them are one."""

    def __init__(self, flow: FlowNotes, forward: ForwardRecord) -> None:
        self._flow, self._num_calls = flow, len(forward.calls)
        self._instead: dict[JoinNote, Source] = {}  # what a join is a part of, or only hands on
        self._layers = _layers_of(flow, forward)
        noted = [one for one in flow.joins if one.owner is None]
        for join in noted:
            join.sources = dict.fromkeys(map(self._resolved, join.sources))
            if len(join.sources) == 1:
                self._instead[join] = next(iter(join.sources))
        noted = [one for one in noted if one not in self._instead]
        takers = self._takers(noted)
        for join in reversed(noted):
            if not takers[join]:
                for source in join.sources:
                    if isinstance(source, JoinNote):
                        takers[source].discard(join)
        self.joins = [one for one in noted if takers[one]]
        for join in self.joins:
            taker = next(iter(takers[join])) if len(takers[join]) == 1 else None
            if isinstance(taker, JoinNote) and (taker.before, taker.depth) == (join.before, join.depth):
                self._merge(join, taker)
        self.joins = [one for one in self.joins if one not in self._instead]

    def _merge(self, join: JoinNote, into: JoinNote) -> None:
        into.sources = {**join.sources, **{one: None for one in into.sources if one is not join}}
        operations = dict.fromkeys([*join.operation.split(", "), *into.operation.split(", ")])
        into.operation = ", ".join(operations)
        self._instead[join] = into

    def _resolved(self, source: Source) -> Source:
        while isinstance(source, JoinNote):
            if source.owner is not None:
                return source.owner
            if source not in self._instead:
                return source
            source = self._instead[source]
        return source

    def _takers(self, joins: Iterable[JoinNote]) -> dict[JoinNote, set[object]]:
        """Return who takes what each join gives: layers by the places of their calls, other joins, and the output."""
        takers: dict[JoinNote, set[object]] = {join: set() for join in joins}
        taken: list[tuple[object, Iterable[Source]]] = [(join, join.sources) for join in takers]
        taken += [(call, self._flow.sources.get(call, ())) for call in self._layers]
        for taker, sources in [*taken, ("output", self._flow.output)]:
            for source in map(self._resolved, sources):
                if isinstance(source, JoinNote):
                    takers[source].add(taker)
        return takers

    def record(self, outputs: Sequence[tuple[ValueRecord | None, ...]]) -> FlowRecord:
        """Return the record. outputs: of each join, at each size."""
        numbers = {join: self._num_calls + number for number, join in enumerate(self.joins)}
        handed_on: dict[int, int] = {}  # by source: the last call that handed on what comes from it

        def places_of(sources: Iterable[Source]) -> set[int]:
            return {numbers[one] if isinstance(one, JoinNote) else one for one in map(self._resolved, sources)}

        def taken(sources: Iterable[Source]) -> tuple[int, ...]:
            return tuple(sorted({handed_on.get(place, place) for place in places_of(sources)}))

        found: dict[int, tuple[int, ...]] = {}
        joins = [(join.before, 0, numbers[join], join.sources) for join in self.joins]
        calls = [(call, 1, call, self._flow.sources.get(call, {})) for call in self._layers]
        for _, _, place, sources in sorted([*joins, *calls], key=lambda one: one[:3]):
            found[place] = taken(sources)
            if place in self._flow.passing:
                handed_on.update(dict.fromkeys(places_of(sources), place))
        return FlowRecord(
            sources={call: found[call] for call in self._layers},
            joins=tuple(
                JoinRecord(one.operation, one.before, one.depth, found[numbers[one]], tuple(filter(None, output)))
                for one, output in zip(self.joins, outputs, strict=True)
            ),
            output=taken(self._flow.output),
        )


def _layers_of(flow: FlowNotes, forward: ForwardRecord) -> list[int]:
    """Return the calls in which nothing else is called, and those that are sources as if nothing were."""
    depths = [*forward.depths(), 0]
    taken = [*flow.sources.values(), *(one.sources for one in flow.joins), flow.output]
    used = {source for sources in taken for source in sources}
    return [place for place in range(len(depths) - 1) if depths[place + 1] <= depths[place] or place in used]
