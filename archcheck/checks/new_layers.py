"""Layers that a network has got since its spec was written."""

from __future__ import annotations

from collections.abc import Iterable

from archcheck.checks.added_rows import AddedRows
from archcheck.checks.moved_layers import MovedLayers
from archcheck.findings import Addition
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.lock import RecordedFunction
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_groups import layer_rows, rows_of
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import StructureTrace, layers_only


def new_layer_rows(spec_file: SpecFile, trace: StructureTrace, moved: MovedLayers) -> list[Addition]:
    """Return the rows to add for new layers, in the order of execution.

    What isn't listed is free, so a layer without a row need not be new: it is where layers beside it are listed, and
    the recorded function has those and not it. Without a function nothing tells, unless no row speaks of any layer of
    now: then it is another network, and gets a table of its own.
    """
    trace = layers_only(trace)
    keys = {text: moved.key(text) for text in spec_file.spec.layers}
    found = {text: matching_modules(parse_layer_key(key), trace) for text, key in keys.items()}
    if keys and not any(found.values()) and not moved.ambiguous:
        rows = layer_rows(trace)
    else:
        called = dict.fromkeys(call.name for call in trace.forwards[0].calls)
        maybe_old = [key for several in moved.ambiguous.values() for key in several]
        listed = {name for names in [*found.values(), *_matches(maybe_old, trace)] for name in names}
        rows = rows_of(trace, _new_names(spec_file.recorded, called, listed, moved.settled))
    return AddedRows(spec_file.document.value.get("layers", {}), keys, trace).add(rows)


def _matches(keys: list[str], trace: StructureTrace) -> list[list[str]]:
    return [matching_modules(parse_layer_key(key), trace) for key in keys]


def _new_names(
    recorded: RecordedFunction | None, called: Iterable[str], listed: set[str], settled: frozenset[str]
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
