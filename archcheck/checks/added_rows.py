"""Rows for layers that a spec doesn't list yet, as its author would have written them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeAlias

from archcheck.findings import Addition
from archcheck.spec.layer_keys import format_prefixes, parse_layer_key
from archcheck.structure.layer_groups import LayerRow
from archcheck.structure.layer_selection import matching_modules
from archcheck.structure.records import StructureTrace

_Form: TypeAlias = tuple[str, ...]  # what a row says; nothing where it is a shape alone


class AddedRows:
    """Rows to add to a spec, each behind the one that runs before it, and all of the layer that that one is in.

    Each says what rows of layers of the same type say, or else what any row does.
    """

    def __init__(self, written: Mapping[str, Any], keys: Mapping[str, str], trace: StructureTrace) -> None:
        """Take the rows as they are written, and the keys that they have now, by those in the file."""
        self._trace, self._written = trace, written
        self._entered: dict[tuple[str, int | None], int] = {}
        for position, call in enumerate(trace.forwards[0].calls):
            self._entered[call.name, call.index] = position
            self._entered.setdefault((call.name, None), position)
        names = {text: matching_modules(parse_layer_key(key), trace) for text, key in keys.items()}
        places = {key: self._place(key, names[text]) for text, key in keys.items()}
        self._places = {key: place for key, place in places.items() if place is not None}  # in the order of the file
        self._types = {text: {trace.modules[name].type_name for name in names[text]} for text in keys}

    def add(self, rows: Sequence[LayerRow]) -> list[Addition]:
        """Return what adds rows, which are in the order of execution; later ones may go behind them."""
        added: list[Addition] = []
        for row in rows:
            place = self._place(row.key, row.names)
            assert place is not None  # it is called
            behind = self._last_before(row.key, place)
            added.append(Addition(("layers", row.key), self._value(row), behind))
            self._insert(row.key, place, behind)
        return added

    def _last_before(self, new: str, place: int) -> str | None:
        """Return the row behind which a layer goes that is entered then; None where it comes first."""
        before = [key for key, other in self._places.items() if other < place]
        if not before:
            return None
        keys = list(self._places)
        latest = max(before, key=lambda key: self._places[key])
        outer = format_prefixes(parse_layer_key(latest))[: new.count(".") + 1][-1]
        if outer == latest or parse_layer_key(outer).is_glob:
            return latest
        below = keys[keys.index(latest) + 1 :]
        inside = takewhile(lambda key: key.startswith(f"{outer}.") and self._places[key] < place, below)
        return [latest, *inside][-1]

    def _insert(self, key: str, place: int, behind: str | None) -> None:
        entries = [*self._places.items()]
        position = 0 if behind is None else [*self._places].index(behind) + 1
        self._places = dict([*entries[:position], (key, place), *entries[position:]])

    def _place(self, text: str, names: Sequence[str]) -> int | None:
        call = parse_layer_key(text).call
        entered = [self._entered.get((name, call)) for name in names]
        return min((one for one in entered if one is not None), default=None)

    def _value(self, row: LayerRow) -> Any:
        """Return a row as the value of a spec."""
        form = self._form(row.type_name)
        if not form and row.output is not None:
            return row.output
        writes_zeros = any(isinstance(one, dict) and one.get("parameters") == 0 for one in self._written.values())
        count = row.num_params if row.num_params or writes_zeros else None
        values = {"type": row.type_name, "output": row.output, "parameters": count}
        known = {key: value for key, value in values.items() if value is not None}
        return {key: value for key, value in known.items() if key in form} or known

    def _form(self, type_name: str | None) -> _Form:
        forms = {text: tuple(one) if isinstance(one, dict) else () for text, one in self._written.items()}
        same = [forms[text] for text, types in self._types.items() if type_name in types]
        if same:
            return Counter(same).most_common(1)[0][0]
        return tuple(dict.fromkeys(key for form in forms.values() for key in form))
