"""A traced network as records of a report: its layers in the order of execution, and what they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from archcheck.report.run_record import Layer, SpecResult
from archcheck.spec.dims import BATCH
from archcheck.structure.layer_pairing import call_label
from archcheck.structure.patterns import dimension_names, format_calls, format_pattern, format_value, infer_value
from archcheck.structure.records import INPUT, FlowRecord, ForwardRecord, JoinRecord, StructureTrace

_UNKNOWN = FlowRecord({}, (), ())


def with_layers(result: SpecResult, trace: StructureTrace, flow: FlowRecord | None = None) -> SpecResult:
    """Return a result with the layers of a network, as the first forward pass had them.

    flow: where what they take comes from; it brings what joins the results of layers as well.
    """
    if not trace.forwards:
        return result
    forward, flow = trace.forwards[0], flow or _UNKNOWN
    places = list(_in_order(forward, flow))
    numbers = {place: number for number, place in enumerate(places)} | {INPUT: INPUT}
    calls = dict(enumerate(_call_layers(trace)))
    joins = {len(forward.calls) + number: join for number, join in enumerate(flow.joins)}

    def numbered(sources: Iterable[int]) -> tuple[int, ...]:
        return tuple(numbers[one] for one in sources if one in numbers)

    layers = tuple(
        replace(_join_layer(joins[place], trace), sources=numbered(joins[place].sources))
        if place in joins
        else replace(calls[place], sources=numbered(flow.sources.get(place, ())))
        for place in places
    )
    return replace(result, layers=layers, output_sources=numbered(flow.output))


def _in_order(forward: ForwardRecord, flow: FlowRecord) -> Iterator[int]:
    """Yield the places of calls and of joins in the order in which they begin; the network's own call is left out."""
    num_calls = len(forward.calls)
    joins = [(join.before, 0, num_calls + number) for number, join in enumerate(flow.joins)]
    calls = [(place, 1, place) for place, call in enumerate(forward.calls) if call.name]
    yield from (place for _, _, place in sorted([*joins, *calls]))


def _call_layers(trace: StructureTrace) -> Iterator[Layer]:
    forward = trace.forwards[0]
    batch, outputs, num_calls = forward.sizes.get(BATCH, 1), format_calls(trace), forward.num_calls()
    for call, depth in zip(forward.calls, forward.depths(), strict=True):
        module = trace.modules[call.name]
        yield Layer(
            name=call_label(call.name, call.index, num_calls[call.name]),
            type=module.type_name,
            depth=depth - 1,  # all are inside of the network's own
            output=outputs.get((call.name, call.index)),
            parameters=module.num_params if module.num_params and call.index == 0 else None,
            macs=call.macs // batch or None,
        )


def _join_layer(join: JoinRecord, trace: StructureTrace) -> Layer:
    sizes = [forward.sizes for forward in trace.forwards]
    output = None if not join.output else format_value(join.output[0])
    if len(join.output) == len(sizes):
        with suppress(ValueError):  # no pattern fits
            output = format_pattern(infer_value(join.output, sizes, dimension_names(trace)))
    return Layer("", join.operation, join.depth, output)
