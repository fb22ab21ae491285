"""Where a layer's difference comes from: followed backwards, through calls that differ, along what they take. Pure.

A layer may agree and have others before it that don't, as it takes nothing of theirs: the projection of a time step
between two blocks. Or these were only written otherwise, and what it takes of them is the same. Which it is only the
flow of data tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from archcheck.function.digested_layers import DigestedLayer
from archcheck.structure.records import INPUT, FlowRecord, ForwardRecord

Call = tuple[str, int]  # name and index


def first_origin(
    layer: DigestedLayer | None, differing: Mapping[Call, DigestedLayer], forward: ForwardRecord, flow: FlowRecord
) -> DigestedLayer | None:
    """Return the first call that differs, of those from which a difference comes; None where none is seen.

    layer: that differs, None for the network itself. differing: the other calls that do, in the order in which these
    return.
    """
    calls = [(call.name, call.index) for call in forward.calls]
    places = {call: place for place, call in enumerate(calls)}
    if layer is None:
        starts, known = list(flow.output), set(differing)
    else:
        own = (layer.name, layer.index)
        inside = [call for call in differing if call[0].startswith(f"{layer.name}.")]
        starts, known = [places[call] for call in (own, *inside) if call in places], {own, *differing}
    reached = {calls[place] for place in _seen(starts, known, calls, flow) if place < len(calls)} & known
    return next((one for call, one in differing.items() if call in reached), None)


def taken_on_the_way_out(agreeing: Set[Call], forward: ForwardRecord, flow: FlowRecord) -> set[Call]:
    """Return the calls of which the network's output takes something that no call that agrees has taken before."""
    calls = [(call.name, call.index) for call in forward.calls]
    seen = _seen(list(flow.output), set(calls) - agreeing, calls, flow)
    return {calls[place] for place in seen if place < len(calls)}


def taken_by(takers: Set[Call], forward: ForwardRecord, flow: FlowRecord) -> set[Call]:
    """Return the calls of which some take something, with no call between them."""
    calls = [(call.name, call.index) for call in forward.calls]
    starts = [source for place, call in enumerate(calls) if call in takers for source in flow.sources.get(place, ())]
    return {calls[place] for place in _seen(starts, set(), calls, flow) if place < len(calls)}


def _seen(starts: Sequence[int], differing: Set[Call], calls: Sequence[Call], flow: FlowRecord) -> set[int]:
    """Return the places of calls and joins of which some take something, each through calls that differ."""
    waiting, seen = list(starts), set[int]()
    while waiting:
        place = waiting.pop()
        if place == INPUT or place in seen:
            continue
        seen.add(place)
        if place >= len(calls):  # a join of several, which has no numbers of its own
            waiting += flow.joins[place - len(calls)].sources
        elif calls[place] in differing:
            waiting += flow.sources.get(place, ())
    return seen
