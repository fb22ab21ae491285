"""Where the layers that a spec lists are now: those that were renamed, and those that have another number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from archcheck.checks.renamed_layers import AreSame, RenamedLayers, RenameSearch
from archcheck.checks.shifted_layers import Misfit, Shift, find_shifts
from archcheck.findings import Addition, Change, Removal, Rename
from archcheck.spec.layer_keys import parse_layer_key
from archcheck.spec.models import Spec
from archcheck.structure.layer_groups import LayerRow, rows_of
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import StructureTrace, layers_only
from archcheck.text.words import listed


@dataclass(frozen=True, slots=True)
class MovedLayers:
    """The rows of a spec that don't speak of the layers that they were written for, by their keys.

    keys: those that they have now; a row that was taken out has none. changes: what writes that. by_function: the rows
    that are known by what they compute. ambiguous: the keys that each of the others may have. shifted: the rows that
    other numbers moved, each with what happened, of which only the first one of a place says it. settled: all modules
    of such a place.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    by_function: frozenset[str] = frozenset()
    ambiguous: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shifted: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()

    def key(self, text: str) -> str:
        """Return the key that a row has now; its own where it wasn't moved."""
        return self.keys.get(text, text)


def find_moved_layers(
    spec: Spec,
    labels: Sequence[str],
    trace: StructureTrace,
    misfit: Misfit,
    function: Callable[[], tuple[AreSame | None, Sequence[Change]]],
) -> MovedLayers:
    """Find where the listed layers are now.

    `labels` are of the recorded layers. `function` returns what compares with them, and what records them anew where
    they have other numbers; None and nothing where there is no function, or another.
    """
    keys = {text: text for text in spec.layers}
    if not any(misfit(text, layer) for text, layer in spec.layers.items()):
        return MovedLayers()
    shifts = find_shifts(spec.layers, keys, labels, trace, misfit)
    keys = _after(keys, shifts)
    renamed = RenamedLayers()
    if not all(matching_modules(parse_layer_key(key), trace) for key in keys.values()):
        renamed = RenameSearch(spec, keys, labels, trace, misfit, function()[0]).run()
        keys |= {text: new.key for text, new in renamed.found.items()}
        if renamed.found:
            inside = find_shifts(spec.layers, keys, labels, trace, misfit)
            keys, shifts = _after(keys, inside), [*shifts, *inside]
    changes = {text: new.changes for text, new in renamed.found.items()}
    shifted: dict[str, str] = {}
    of_lock = function()[1] if shifts else ()
    for shift, rows in zip(shifts, _new_rows(shifts, keys, trace), strict=True):
        texts = [text for text in spec.layers if text in shift.moved or text in shift.gone]
        changes |= dict.fromkeys(texts, (*_changes(shift, keys, rows), *of_lock))
        shifted |= dict.fromkeys(texts, "") | {texts[0]: _what_happened(shift, trace)}
    return MovedLayers(
        {text: key for text, key in keys.items() if key != text},
        changes,
        frozenset(text for text, new in renamed.found.items() if new.by_function and text not in shifted),
        {text: several for text, several in renamed.ambiguous.items() if text not in shifted},
        shifted,
        frozenset(name for shift in shifts for name in shift.modules),
    )


def _after(keys: Mapping[str, str], shifts: Sequence[Shift]) -> dict[str, str]:
    gone = {text for shift in shifts for text in shift.gone}
    moved = {text: key for shift in shifts for text, key in shift.moved.items()}
    return {text: moved.get(text, key) for text, key in keys.items() if text not in gone}


def _changes(shift: Shift, keys: Mapping[str, str], rows: Sequence[Addition]) -> tuple[Change, ...]:
    """Return what writes a shift: rows dropped, rows under other keys, and rows for what was put in."""
    removals = [Removal(("layers", text)) for text in shift.gone]
    renames = [Rename(("layers", text), keys[text]) for text in shift.moved if text in keys]
    return *removals, *renames, *rows


def _new_rows(shifts: Sequence[Shift], keys: Mapping[str, str], trace: StructureTrace) -> list[list[Addition]]:
    """Return, by shift, the rows of what was put in, each behind the one that runs before it."""
    entered: dict[str, int] = {}
    for position, call in enumerate(trace.forwards[0].calls):
        entered.setdefault(call.name, position)
    places: dict[str, int] = {}
    for key in keys.values():
        names = matching_modules(parse_layer_key(key), trace)
        places |= {key: min(entered[name] for name in names if name in entered)} if entered.keys() & names else {}
    found: list[list[Addition]] = [[] for _ in shifts]
    for row in rows_of(layers_only(trace), [name for shift in shifts for name in shift.new]):
        place = entered[row.names[0]]
        behind = max((key for key in places if places[key] < place), key=lambda key: places[key], default=None)
        index = next(i for i, shift in enumerate(shifts) if row.names[0] in shift.new)
        found[index].append(Addition(("layers", row.key), as_written(row), behind))
        places[row.key] = place
    return found


def as_written(row: LayerRow) -> dict[str, object]:
    """Return a row as the value of a spec."""
    values = {"type": row.type_name, "output": row.output, "parameters": row.num_params or None}
    return {key: value for key, value in values.items() if value is not None}


def _what_happened(shift: Shift, trace: StructureTrace) -> str:
    new = listed([f"{name} ({trace.modules[name].type_name})" for name in shift.new], 4)
    told = [f"new is {new}" if new else "", f"gone is what was {listed(shift.gone, 4)}" if shift.gone else ""]
    return ", ".join(filter(None, told)) or "layers were put in before it, or taken out"
