"""Layers that a network has got since its spec was written."""

from __future__ import annotations

from archcheck.checks.moved_layers import MovedLayers, as_written
from archcheck.findings import Edit
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.lock import RecordedFunction
from archcheck.spec.models import Spec
from archcheck.structure.layer_groups import rows_of
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import StructureTrace, layers_only


def new_layer_edits(
    spec: Spec, recorded: RecordedFunction | None, trace: StructureTrace, moved: MovedLayers
) -> list[Edit]:
    """Return the rows to add for new layers, each behind the one that runs before it; the last to run comes first.

    What isn't listed is free, so a layer without a row need not be new: it is where layers beside it are listed, and
    the recorded function has those and not it. Without a function nothing tells.
    """
    trace = layers_only(trace)
    found = {text: matching_modules(parse_layer_key(moved.key(text)), trace) for text in spec.layers}
    entered: dict[str, int] = {}
    for position, call in enumerate(trace.forwards[0].calls):
        entered.setdefault(call.name, position)
    places = {text: min((entered[one] for one in names if one in entered), default=-1) for text, names in found.items()}
    maybe_old = [key for several in moved.ambiguous.values() for key in several]
    listed = {name for names in [*found.values(), *_matches(maybe_old, trace)] for name in names}
    edits = []
    for row in reversed(rows_of(trace, _new_names(recorded, entered, listed, moved.settled))):
        before = [text for text, place in places.items() if 0 <= place < entered[row.names[0]]]
        after = max(before, key=lambda text: places[text], default=None)
        edits.append(Edit(("layers", row.key), as_written(row), after))
    return edits


def _matches(keys: list[str], trace: StructureTrace) -> list[list[str]]:
    return [matching_modules(parse_layer_key(key), trace) for key in keys]


def _new_names(
    recorded: RecordedFunction | None, called: dict[str, int], listed: set[str], settled: frozenset[str]
) -> list[str]:
    if recorded is None:
        return []
    digested = {parse_layer_key(label).name for label in recorded.layers}
    known = {_parent(name) for name in listed} & {_parent(name) for name in digested}
    around = {name[:end] for name in listed for end in range(len(name)) if name[end] == "."}
    old = listed | around | digested | settled
    return [name for name in called if name and name not in old and _parent(name) in known]


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
