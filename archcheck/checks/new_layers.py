"""Layers that a network has got since its spec was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archcheck.checks.added_rows import AddedRows
from archcheck.checks.moved_layers import MovedLayers
from archcheck.findings import Addition
from archcheck.spec.layer_keys import format_inner_key, format_layer_key, parse_layer_key
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_groups import layer_rows, rows_of
from archcheck.structure.layer_selection import default_depth, matching_modules
from archcheck.structure.records import StructureTrace, layers_only


def new_layer_rows(spec_file: SpecFile, trace: StructureTrace, moved: MovedLayers) -> list[Addition]:
    """Return the rows to add for new layers, in the order of execution.

    Where no row speaks of any layer of now, it is another network, and gets a table of its own.
    """
    trace = layers_only(trace)
    keys = {text: moved.key(text) for text in spec_file.spec.layers}
    is_known = any(matching_modules(parse_layer_key(key), trace) for key in keys.values())
    if keys and not is_known and not moved.ambiguous:
        rows = layer_rows(trace)
    else:
        found = _by_glob(new_layers(spec_file, trace, moved), keys, trace)
        rows = rows_of(trace, found | _listed_inside_others(found, keys, trace))
    return AddedRows(spec_file.document.value.get("layers", {}), keys, trace).add(rows)


def new_layers(spec_file: SpecFile, trace: StructureTrace, moved: MovedLayers) -> list[str]:
    """Return the layers that are new beside those that are listed, in the order of execution.

    What isn't listed is free, so a layer without a row need not be new: it is where layers beside it are listed, all of
    its level were recorded, and the recorded function hasn't got it. Without a function nothing tells.
    """
    if spec_file.recorded is None:
        return []
    keys = [parse_layer_key(moved.key(text)) for text in spec_file.spec.layers]
    exact = {name for key in keys if not key.is_glob for name in matching_modules(key, trace)}
    maybe_old = [parse_layer_key(key) for several in moved.ambiguous.values() for key in several]
    listed = {name for key in [*keys, *maybe_old] for name in matching_modules(key, trace)}
    digested = {parse_layer_key(label).name for label in spec_file.recorded.layers}
    called = dict.fromkeys(call.name for call in trace.forwards[0].calls if call.name)
    around = {name[:end] for name in exact for end in range(len(name)) if name[end] == "."}
    old = listed | around | digested | moved.settled
    depth = _recorded_depth(digested, exact, [*called], trace)
    beside = {_parent(name) for name in listed} & {_parent(name) for name in digested}
    return [name for name in called if name not in old and _parent(name) in beside and name.count(".") < depth]


def _recorded_depth(digested: set[str], listed: set[str], called: list[str], trace: StructureTrace) -> int:
    """Return down to which level all layers were recorded: as deep as any that isn't listed, or as is done today.

    Where nothing was recorded of what is in a recorded layer, the level wasn't.
    """
    depth = max([default_depth(trace), *(name.count(".") + 1 for name in digested - listed)])
    having = {_parent(name) for name in digested}
    unrecorded = [name for name in called if _parent(name) in digested - having]
    return min([depth, *(name.count(".") for name in unrecorded)])


def _by_glob(names: list[str], keys: Mapping[str, str], trace: StructureTrace) -> dict[str, list[str]]:
    """Return layers by keys: under a glob where the spec lists what is beside them under one, and all are new."""
    parsed = [parse_layer_key(key) for key in keys.values()]
    exact = {_parent(key.name) for key in parsed if not key.is_glob}
    globs = dict.fromkeys(_parent(key.pattern) for key in parsed if parse_layer_key(_parent(key.pattern)).is_glob)
    new, inside = set(names), tuple(f"{name}." for name in names)
    found: dict[str, list[str]] = {}
    for name in names:
        parent, _, last = name.rpartition(".")
        around = [] if parent in exact else [glob for glob in globs if parse_layer_key(glob).matches(parent)]
        for key in (format_inner_key(glob, last) for glob in around):
            modules = matching_modules(parse_layer_key(key), trace)
            if all(one in new or one.startswith(inside) for one in modules):
                found.setdefault(key, modules)
                break
        else:
            found[format_layer_key(name)] = [name]
    return found


def _listed_inside_others(
    found: Mapping[str, Sequence[str]], keys: Mapping[str, str], trace: StructureTrace
) -> dict[str, list[str]]:
    """Return what is in new layers, by keys, where the spec lists it of one of the same type beside them."""
    listed = [parse_layer_key(key) for key in keys.values()]
    called = {call.name for call in trace.forwards[0].calls}
    inside: dict[str, list[str]] = {}
    for text, (name, *others) in found.items():
        alike = [
            one
            for key in listed
            if not others and not key.is_glob
            for one in matching_modules(key, trace)
            if _parent(one) == _parent(name) and trace.modules[one].type_name == trace.modules[name].type_name
        ]
        start = f"{alike[-1]}." if alike else ""
        for key in (key for key in listed if start and key.call is None and key.pattern.startswith(start)):
            new = f"{text}.{key.pattern.removeprefix(start)}"
            names = [one for one in matching_modules(parse_layer_key(new), trace) if one in called]
            inside |= {new: names} if names else {}
    return inside


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
