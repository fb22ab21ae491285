"""Selecting layers: the modules that a spec's keys name, and how deep a layer table goes."""

from __future__ import annotations

from dataclasses import replace

from archcheck.findings import Mismatch
from archcheck.spec.layer_keys import LayerKey, format_layer_key
from archcheck.structure.records import StructureTrace, layers_only
from archcheck.text.words import close_names, listed

ROOT = ""
MATCHES_SHOWN = 3  # of a glob's layers that differ alike, so that one wrong line doesn't bury the others


def matching_modules(key: LayerKey, trace: StructureTrace) -> list[str]:
    """Return the names of the modules that a key of `layers` selects, aliases resolved, in `named_modules()` order."""
    if not key.is_glob:
        name = trace.aliases.get(key.name, key.name)
        return [name] if name in trace.modules and name != ROOT else []
    names = [name for name in trace.modules if name != ROOT and key.matches(name)]
    names += [name for alias, name in trace.aliases.items() if key.matches(alias)]
    return list(dict.fromkeys(names))


def limit_glob(key: LayerKey, mismatches: list[Mismatch]) -> list[Mismatch]:
    """Return the first few of a glob's mismatches, the last of them saying how many more there are."""
    if len(mismatches) <= MATCHES_SHOWN:
        return mismatches
    ordered = sorted(mismatches, key=lambda mismatch: mismatch.order)
    rest = ("note", f"and {len(ordered) - MATCHES_SHOWN} more layers matched by {key.text}")
    last = ordered[MATCHES_SHOWN - 1]
    return [*ordered[: MATCHES_SHOWN - 1], replace(last, notes=(*last.notes, rest))]


ROWS_AT_MOST = 40  # what still reads as a table; decides the depth where none is asked for


def default_depth(trace: StructureTrace) -> int:
    """Return the deepest level of modules whose table still reads at a glance."""
    names = {call.name for call in layers_only(trace).forwards[0].calls if call.name}
    levels = [name.count(".") + 1 for name in names]
    deepest = max(levels, default=1)
    fitting = [depth for depth in range(1, deepest + 1) if sum(level <= depth for level in levels) <= ROWS_AT_MOST]
    return max(fitting, default=1)


def no_module_mismatch(key: LayerKey, trace: StructureTrace) -> Mismatch:
    """Return the mismatch of a key that names no module, with names that are close."""
    what = "no module matches" if key.is_glob else "no such module"
    if key.text in trace.modules:
        exact = format_layer_key(key.text)
        hint = f"a module has this name, in which a glob or an index is read: write {exact}, a backslash before it"
        return Mismatch(("layers", key.text), key.text, what, notes=(("note", hint),))
    close = [format_layer_key(name) for name in close_names(key.name, filter(None, trace.modules), limit=3)]
    children = [format_layer_key(name) for name in trace.modules if name and "." not in name]
    has = listed(children) or "no modules inside it"
    hint = f"did you mean {' or '.join(close)}?" if close else f"the network has {has}"
    return Mismatch(("layers", key.text), key.text, what, notes=(("note", hint),))
