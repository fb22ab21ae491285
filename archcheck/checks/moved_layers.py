"""Where the layers that a spec lists are now: those that were renamed, and those that have another number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from archcheck.checks.added_rows import AddedRows
from archcheck.checks.named_elsewhere import moved_names, names_elsewhere
from archcheck.checks.renamed_layers import AreSame, RenamedLayers, RenameSearch
from archcheck.checks.repacked_layers import RepackedRows, find_repacked_rows
from archcheck.checks.shifted_layers import Misfit, Shift, find_shifts, labels_now, with_shifts
from archcheck.findings import Addition, Change, Edit, Removal, Rename
from archcheck.spec.layer_keys import format_layer_key, parse_layer_key
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_groups import rows_of
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import FlowRecord, StructureTrace, layers_only
from archcheck.text.words import listed


@dataclass(frozen=True, slots=True)
class MovedLayers:
    """The rows of a spec that don't speak of the layers that they were written for, by their keys.

    keys: those that they have now; a row that was taken out has none. changes: what writes that. by_function: the rows
    that are known by what they compute. ambiguous: the keys that each of the others may have. shifted: the rows that
    other numbers moved, each with what happened, of which only the first one of a place says it. settled: all modules
    of such a place. elsewhere: what writes their names in other sections. labels: of the recorded layers, those that
    they have now, by those that they had; None where a layer is gone. repacked: the rows of layers that were split or
    merged, each with what happened.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    by_function: frozenset[str] = frozenset()
    ambiguous: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shifted: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()
    elsewhere: tuple[Edit, ...] = ()
    labels: Mapping[str, str | None] = field(default_factory=dict)
    repacked: Mapping[str, str] = field(default_factory=dict)

    def key(self, text: str) -> str:
        """Return the key that a row has now; its own where it wasn't moved."""
        return self.keys.get(text, text)


def find_moved_layers(
    spec_file: SpecFile,
    labels: Sequence[str],
    trace: StructureTrace,
    misfit: Misfit,
    function: Callable[[], tuple[AreSame | None, Sequence[Change]]],
    flow: Callable[[], FlowRecord | None],
) -> MovedLayers:
    """Find where the listed layers are now.

    `labels` are of the recorded layers. `function` returns what compares with them, and what records them anew where
    they have other numbers; None and nothing where there is no function, or another. `flow` follows what calls take.
    """
    spec, written = spec_file.spec, spec_file.document.value.get("layers", {})
    keys = {text: text for text in spec.layers}
    if not any(misfit(text, layer) for text, layer in spec.layers.items()):
        return MovedLayers()
    shifts = find_shifts(spec.layers, keys, labels, trace, misfit)
    keys = _after(keys, shifts)
    names, renamed = {name: with_shifts(name, shifts, trace) for name in names_elsewhere(spec)}, RenamedLayers()
    recorded = labels_now(labels, shifts, trace)
    repack = partial(_repacked, spec, labels=labels, trace=trace, flow=flow)
    repacked = repack(keys)
    keys = _repacked_keys(keys, repacked)
    if not all(matching_modules(parse_layer_key(key), trace) for key in keys.values()):
        others = [*names.values(), *(label for label in recorded.values() if label is not None)]
        renamed = RenameSearch(spec, keys, labels, others, trace, misfit, function()[0]).run()
        keys |= {text: new.key for text, new in renamed.found.items()}
        if renamed.found:
            inside = find_shifts(spec.layers, keys, labels, trace, misfit)
            keys, shifts = _after(keys, inside), [*shifts, *inside]
            names = {name: with_shifts(renamed.names[now], inside, trace) for name, now in names.items()}
            moved = labels_now(renamed.names.values(), inside, trace)
            recorded = {old: now and moved[renamed.names[now]] for old, now in recorded.items()}
            behind = repack({text: renamed.lost.get(text, key) for text, key in keys.items()})
            keys, repacked = _repacked_keys(keys, behind), [*repacked, *behind]
    elsewhere = moved_names(spec, names.__getitem__)
    changes: dict[str, tuple[Change, ...]] = {text: (*new.changes, *elsewhere) for text, new in renamed.found.items()}
    shifted: dict[str, str] = {}
    of_lock = function()[1] if shifts else ()
    for shift, rows in zip(shifts, _new_rows(shifts, written, keys, trace), strict=True):
        texts = [text for text in spec.layers if text in shift.moved or text in shift.gone]
        changes |= dict.fromkeys(texts, (*_changes(shift, keys, rows), *elsewhere, *of_lock))
        shifted |= dict.fromkeys(texts, "") | {texts[0]: _what_happened(shift, trace)}
    for one in repacked:
        changes |= dict.fromkeys(one.before, (*one.changes(), *_rows_beside(one, written, keys, trace)))
    parted = [parse_layer_key(text) for one in repacked for text in one.before]
    recorded = {
        label: None if any(key.matches(parse_layer_key(label).name) for key in parted) else now
        for label, now in recorded.items()
    }
    return MovedLayers(
        {text: key for text, key in keys.items() if key != text},
        changes,
        frozenset(text for text, new in renamed.found.items() if new.by_function and text not in shifted),
        {text: several for text, several in renamed.ambiguous.items() if text not in shifted},
        shifted,
        frozenset(name for shift in shifts for name in shift.modules),
        tuple(elsewhere),
        recorded,
        {text: one.told() if text == one.before[0] else "" for one in repacked for text in one.before},
    )


def _repacked(
    spec: Spec,
    keys: Mapping[str, str],
    *,
    labels: Sequence[str],
    trace: StructureTrace,
    flow: Callable[[], FlowRecord | None],
) -> list[RepackedRows]:
    names = {parse_layer_key(label).name for label in labels}
    return find_repacked_rows(spec.layers, keys, names, trace, flow)


def _repacked_keys(keys: Mapping[str, str], repacked: Sequence[RepackedRows]) -> dict[str, str]:
    """Return the keys of rows with those of layers that were split or merged; one that is in another has none."""
    first = {one.before[0]: one.now[0] for one in repacked}
    inside = {text for one in repacked for text in one.before[1:]}
    return {text: first.get(text, key) for text, key in keys.items() if text not in inside}


def _rows_beside(
    one: RepackedRows, written: Mapping[str, Any], keys: Mapping[str, str], trace: StructureTrace
) -> list[Addition]:
    """Return the rows of what a layer was split into, but for the first, which has the row that was there."""
    trace = layers_only(trace)
    names = {key: matching_modules(parse_layer_key(key), trace) for key in one.now[1:]}
    return AddedRows(written, keys, trace).add(rows_of(trace, names))


def _after(keys: Mapping[str, str], shifts: Sequence[Shift]) -> dict[str, str]:
    gone = {text for shift in shifts for text in shift.gone}
    moved = {text: key for shift in shifts for text, key in shift.moved.items()}
    return {text: moved.get(text, key) for text, key in keys.items() if text not in gone}


def _changes(shift: Shift, keys: Mapping[str, str], rows: Sequence[Addition]) -> tuple[Change, ...]:
    """Return what writes a shift: rows dropped, rows under other keys, and rows for what was put in."""
    removals = [Removal(("layers", text)) for text in shift.gone]
    renames = [Rename(("layers", text), keys[text]) for text in shift.moved if text in keys]
    return *removals, *renames, *rows


def _new_rows(
    shifts: Sequence[Shift], written: Mapping[str, Any], keys: Mapping[str, str], trace: StructureTrace
) -> list[list[Addition]]:
    """Return, by shift, the rows of what was put in."""
    trace = layers_only(trace)
    names = {format_layer_key(name): [name] for shift in shifts for name in shift.new}
    rows = AddedRows(written, keys, trace).add(rows_of(trace, names))
    of = {name: i for i, shift in enumerate(shifts) for name in shift.new}
    found: list[list[Addition]] = [[] for _ in shifts]
    for row in rows:
        found[of[parse_layer_key(str(row.added[-1])).name]].append(row)
    return found


def _what_happened(shift: Shift, trace: StructureTrace) -> str:
    new = listed([f"{name} ({trace.modules[name].type_name})" for name in shift.new], 4)
    told = [f"new is {new}" if new else "", f"gone is what was {listed(shift.gone, 4)}" if shift.gone else ""]
    return ", ".join(filter(None, told)) or "layers were put in before it, or taken out"
