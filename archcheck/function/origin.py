"""Where a layer's difference comes from: followed backwards, through calls that differ, along what they take. Pure.

A layer may agree and have others before it that don't, as it takes nothing of theirs: the projection of a time step
between two blocks. Which others those are only the flow of data tells.
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
    reached = _reached(starts, known, calls, flow)
    return next((one for call, one in differing.items() if call in reached), None)


def _reached(starts: Sequence[int], differing: Set[Call], calls: Sequence[Call], flow: FlowRecord) -> set[Call]:
    """Return the calls that differ of which some take something, each through others that differ."""
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
    return {calls[place] for place in seen if place < len(calls) and calls[place] in differing}
