"""Listed layers that have other numbers now, as one was put in before them or taken out.

The modules inside one are often numbered, by nn.Sequential or by hand (conv1, conv2), and so are the calls of one. One
more renumbers all behind it, so that each row speaks of another layer than it was written for. Here the rows of such
modules are aligned with those that are there now: in their order, such that the least of what the spec says isn't so.
Rows that could be of several are aligned with the rows around them: what ran between two layers still does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, TypeAlias

from archcheck.spec.layer_keys import format_inner_key, parse_layer_key
from archcheck.spec.models import Layer
from archcheck.structure.layer_selection import ROOT, matching_modules
from archcheck.structure.records import StructureTrace

Misfit = Callable[[str, Layer], int]  # how much of a row isn't true of a key's modules: one of these, or a sum

OTHER_OUTPUT: Final = 1  # which may only follow from what runs before
OTHER_PARAMETERS: Final = 2
OTHER_LAYER: Final = 5  # of another type, or none at all
_OTHER_ORDER: Final = 1  # it doesn't run between the layers that the spec lists around it
_GONE: Final = OTHER_LAYER  # what a row costs that is dropped as there are fewer modules
_REPLACED: Final = _GONE + 4  # where there aren't: one was taken out here, and another put in elsewhere
_MOST_REPLACED: Final = 2  # rows of one place: with more, nothing is told apart any more
_TURN: Final = 1  # what it costs that the numbers move by something else from here on
_FARTHEST: Final = 24  # by which a number may move
_NUMBERED: Final = re.compile(r"(.*?)(0|[1-9]\d*)", re.DOTALL)
_CALLS: Final = "["  # in the place of the word before a number, where calls of one module are numbered


@dataclass(frozen=True, slots=True)
class Shift:
    """What became of the rows of modules that are numbered in one place, or of the calls of one.

    moved: the keys that rows have now, by those in the file. gone: rows whose modules aren't there any more. new: the
    modules that were put in. modules: all that are numbered there now. place: where that is, and `numbers` those that
    rows had, with those that they have; None where they have none any more.
    """

    moved: Mapping[str, str]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    modules: tuple[str, ...]
    place: NumberedPlace
    numbers: Mapping[int, int | None]

    def is_gone(self, number: int) -> bool:
        """Return whether a module that had a number isn't there any more."""
        return number in self.numbers and self.numbers[number] is None

    def renumbered(self, number: int) -> int:
        """Return the number that a module has now; one that no row has moves as those around it do, or stays."""
        before = max((old for old in self.numbers if old <= number), default=None)
        if before is None:
            return number
        behind = min((old for old in self.numbers if old >= number), default=before)
        pairs = [(old, self.numbers[old]) for old in (before, behind)]
        offsets = {None if new is None else new - old for old, new in pairs}
        offset = offsets.pop() if len(offsets) == 1 else None
        return number + (offset or 0)


@dataclass(frozen=True, slots=True)
class NumberedPlace:
    """Modules whose parts are numbered, and the word before the number; or modules whose calls are."""

    parents: frozenset[str]
    stem: str


@dataclass(frozen=True, slots=True)
class _KeyPart:
    """A number in a key: what is around it, the word before it, and what is behind."""

    parent: str
    stem: str
    number: int
    rest: tuple[str, ...] = ()
    call: str = ""

    def with_number(self, number: int) -> str:
        """Return the key with another number."""
        if self.stem == _CALLS:
            return f"{self.parent}[{number}]"
        return ".".join([format_inner_key(self.parent, f"{self.stem}{number}"), *self.rest]) + self.call


def _key_parts(key: str) -> Iterator[_KeyPart]:
    """Yield the numbers in a key, from the outside; last that of a call."""
    parsed = parse_layer_key(key)
    parts = parsed.pattern.split(".")
    call = "" if parsed.call is None else f"[{parsed.call}]"
    for level, part in enumerate(parts):
        match = _NUMBERED.fullmatch(part)
        if match is not None:
            yield _KeyPart(".".join(parts[:level]), match[1], int(match[2]), tuple(parts[level + 1 :]), call)
    if parsed.call is not None:
        yield _KeyPart(parsed.pattern, _CALLS, parsed.call)


@dataclass(slots=True)
class _Numbered:
    """Rows of one place, by the number that they have, and the numbers that there are now.

    A module that was recorded and has no row is there without any. before: how many modules there were at least.
    """

    place: NumberedPlace
    rows: dict[int, dict[str, _KeyPart]] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    before: int = 0

    @property
    def is_of_calls(self) -> bool:
        return self.place.stem == _CALLS

    @property
    def depth(self) -> int:
        """Return how deep the modules lie that have the outermost of these parts."""
        return min(name.count(".") + bool(name) for name in self.place.parents)


_Placed: TypeAlias = dict[int, int]  # numbers that rows had, and those that they have
_Chain: TypeAlias = tuple["_Chain", int, int] | None  # a row's old and new number, behind those of the rows before
_Price: TypeAlias = tuple[int, int, int]  # what a way to place rows costs, what of it is misfits, how far it moves them
_State: TypeAlias = tuple[int, int, int]  # the last number that is taken, by how much it moved, how many rows are gone


def find_shifts(
    layers: Mapping[str, Layer],
    now: Mapping[str, str],
    labels: Sequence[str],
    trace: StructureTrace,
    misfit: Misfit,
) -> list[Shift]:
    """Find the rows that have other numbers, from the outermost modules to the innermost, and calls last.

    `now` has the keys that rows are known to have now, which may be others than those in the file. `labels` are of the
    layers whose function was recorded.
    """
    return _ShiftSearch(layers, now, labels, trace, misfit).run()


def with_shifts(text: str, shifts: Sequence[Shift], trace: StructureTrace) -> str:
    """Return a name or glob, of a module or of what is in one, with the numbers that there are now."""
    return _moved(text, shifts, _PlaceFinder(trace))[0]


def labels_now(labels: Iterable[str], shifts: Sequence[Shift], trace: StructureTrace) -> dict[str, str | None]:
    """Return the labels that calls of modules have now, by those they had; None where these are gone."""
    finder = _PlaceFinder(trace)
    found = {label: _moved(label, shifts, finder) for label in labels}
    return {label: None if is_gone else now for label, (now, is_gone) in found.items()}


def _moved(text: str, shifts: Sequence[Shift], finder: _PlaceFinder) -> tuple[str, bool]:
    """Return a name, glob or label with the numbers that there are now, and whether one in it is gone."""
    is_gone = False
    for shift in shifts:
        parts = (part for part in _key_parts(text) if finder.place(part) == shift.place)
        part = next(parts, None)
        if part is not None:
            is_gone = is_gone or shift.is_gone(part.number)
            text = part.with_number(shift.renumbered(part.number))
    return text, is_gone


class _PlaceFinder:
    """Finds the modules around the number in a key, and the numbers that there are now."""

    def __init__(self, trace: StructureTrace) -> None:
        self._trace = trace
        self._modules: dict[str, list[str]] = {}
        self._numbers: dict[tuple[str, str], list[int]] = {}
        for name in trace.modules:
            parent, _, last = name.rpartition(".")
            match = _NUMBERED.fullmatch(last)
            if match is not None:
                self._numbers.setdefault((parent, match[1]), []).append(int(match[2]))
        for name, times in trace.forwards[0].num_calls().items():
            self._numbers[name, _CALLS] = list(range(times))

    def place(self, part: _KeyPart) -> NumberedPlace:
        """Return where a part of a key is numbered."""
        if part.parent not in self._modules:
            around = matching_modules(parse_layer_key(part.parent), self._trace) if part.parent else [ROOT]
            self._modules[part.parent] = [ROOT, *around] if part.parent == "**" else around
        parents = (one for one in self._modules[part.parent] if (one, part.stem) in self._numbers)
        return NumberedPlace(frozenset(parents), part.stem)

    def numbers(self, place: NumberedPlace) -> list[int]:
        """Return the numbers in a place; none where it has others in one module than in another."""
        found = {tuple(sorted(self._numbers[one, place.stem])) for one in place.parents}
        return list(found.pop()) if len(found) == 1 else []


class _ShiftSearch:
    """The search for rows that have other numbers, whose keys of now it keeps."""

    def __init__(
        self,
        layers: Mapping[str, Layer],
        now: Mapping[str, str],
        labels: Sequence[str],
        trace: StructureTrace,
        misfit: Misfit,
    ) -> None:
        self._layers, self._now, self._trace, self._misfit = layers, dict(now), trace, misfit
        self._finder = _PlaceFinder(trace)
        self._recorded = [part for label in labels for part in _key_parts(label)]
        self._called = {call.name for call in trace.forwards[0].calls if call.name}
        self._entered: dict[tuple[str, int | None], int] = {}
        for position, call in enumerate(trace.forwards[0].calls):
            self._entered[call.name, call.index] = position
            self._entered.setdefault((call.name, None), position)
        self._index = {text: index for index, text in enumerate(layers)}
        self._found: list[Shift] = []
        self._groups: list[tuple[_Numbered, _Placed]] = []  # of what was found

    def run(self) -> list[Shift]:
        """Align all rows of modules, then those that only their order tells, then those of calls."""
        self._align({}, of_calls=False)
        if self._found:
            self._align(self._order({text for shift in self._found for text in shift.moved}), of_calls=False)
        self._align(self._order({text for text in self._layers if parse_layer_key(text).call is None}), of_calls=True)
        unlisted = self._unlisted_types()
        new = [self._new(group, placed, unlisted) for group, placed in self._groups]
        return [replace(shift, new=names) for shift, names in zip(self._found, new, strict=True)]

    def _align(self, order: Mapping[int, int], *, of_calls: bool) -> None:
        done = {shift.place for shift in self._found}
        while (group := self._next_group(done, of_calls=of_calls)) is not None:
            done.add(group.place)
            placed = self._aligned(group, order)
            if placed is not None:
                shift = self._shift(group, placed)
                self._found.append(shift)
                self._groups.append((group, placed))
                self._now |= shift.moved
                self._now = {text: key for text, key in self._now.items() if text not in shift.gone}

    def _next_group(self, done: set[NumberedPlace], *, of_calls: bool) -> _Numbered | None:
        """Return the outermost rows that aren't done, with what is numbered there now; None where there are none."""
        groups: dict[NumberedPlace, _Numbered] = {}
        for text, key in self._now.items():
            for part in _key_parts(key):
                place = self._finder.place(part)
                if (part.stem == _CALLS) == of_calls and place not in done and place.parents:
                    rows = groups.setdefault(place, _Numbered(place)).rows
                    rows.setdefault(part.number, {})[text] = part
        for group in sorted(groups.values(), key=lambda one: one.depth):
            group.numbers = self._finder.numbers(group.place)
            if group.numbers:  # else a glob's row can't have one number in one place and another in another
                known = self._recorded_numbers(group.place) | set(group.rows)
                group.before = max(known) + 1 - min(*known, group.numbers[0])
                if not of_calls:
                    group.rows = {number: group.rows.get(number, {}) for number in sorted(known)}
                return group
            done.add(group.place)
        return None

    def _recorded_numbers(self, place: NumberedPlace) -> set[int]:
        """Return the numbers that the recorded layers of a place have."""
        return {part.number for part in self._recorded if part.stem == place.stem and part.parent in place.parents}

    # ------------------------------------------------------------------------------------------ the order of rows

    def _order(self, known: Collection[str]) -> dict[int, int]:
        """Return when layers run whose rows speak of them for certain, by where these stand in the spec.

        These are the ones that are known, and those without a number. Nothing where the spec has another order.
        """
        places = {
            index: self._position(self._now[text])
            for index, text in enumerate(self._layers)
            if text in self._now and (text in known or not any(_key_parts(text)))
        }
        order = {index: position for index, position in places.items() if position is not None}
        return order if all(a <= b for a, b in pairwise(order.values())) else {}

    def _position(self, text: str) -> int | None:
        key = parse_layer_key(text)
        entered = [self._entered.get((name, key.call)) for name in matching_modules(key, self._trace)]
        return min((one for one in entered if one is not None), default=None)

    def _is_in_order(self, text: str, key: str, order: Mapping[int, int]) -> bool:
        """Return whether what a key speaks of runs between the layers around its row."""
        position, here = self._position(key), self._index[text]
        if position is None:
            return True
        before = [place for index, place in order.items() if index < here]
        behind = [place for index, place in order.items() if index > here]
        return (not before or before[-1] <= position) and (not behind or position <= behind[0])

    # ------------------------------------------------------------------------------------------ aligning

    def _aligned(self, group: _Numbered, order: Mapping[int, int]) -> _Placed | None:
        """Return the numbers that rows have now, those of gone rows left out; None where they stay as they are."""
        known: dict[tuple[int, int], list[tuple[int, int]]] = {}

        def misfits(old: int, new: int) -> list[tuple[int, int]]:
            """Return of each row what isn't true of it, without its order and with it."""
            if (old, new) not in known:
                keys = {text: part.with_number(new) for text, part in group.rows[old].items()}
                plain = {text: self._misfit(key, self._layers[text]) for text, key in keys.items()}
                known[old, new] = [
                    (plain[text], plain[text] + (0 if self._is_in_order(text, key, order) else _OTHER_ORDER))
                    for text, key in keys.items()
                ]
            return known[old, new]

        def cost(old: int, new: int) -> int:
            return sum(with_order for _, with_order in misfits(old, new))

        stay = sum(cost(old, old) if old in group.numbers else _cost_gone(rows) for old, rows in group.rows.items())
        best = _cheapest(group, cost) if stay else None
        if best is None:
            return None
        (price, misfit, _), placed = best
        ends_there = max((new for old, new in placed.items() if group.rows[old]), default=None) == group.numbers[-1]
        if price > stay or (price == stay and not (misfit < stay and ends_there)):
            return None
        pairs = [
            (a, b) for old, new in placed.items() for a, b in zip(misfits(old, old), misfits(old, new), strict=True)
        ]
        if group.is_of_calls:  # that there are fewer doesn't tell which one is gone
            is_told = any(b[0] < a[0] < OTHER_LAYER for a, b in pairs)
        else:
            is_told = any(b[0] < a[0] and (b[0] <= OTHER_OUTPUT or b[0] < OTHER_LAYER <= a[0]) for a, b in pairs)
        by_order = self._has_changed(group) and any(b[1] < a[1] for a, b in pairs)
        return placed if is_told or by_order else None

    def _has_changed(self, group: _Numbered) -> bool:
        """Return whether modules beside these have other numbers, or there were more calls or fewer."""
        if not group.is_of_calls:
            return any(shift.place.parents == group.place.parents for shift in self._found)
        recorded = self._recorded_numbers(group.place)
        around = {one.rpartition(".")[0] for one in group.place.parents}
        is_beside = any(shift.place.parents == around for shift in self._found)
        return is_beside or (bool(recorded) and len(recorded) != len(group.numbers))

    # ------------------------------------------------------------------------------------------ what came of it

    def _shift(self, group: _Numbered, placed: _Placed) -> Shift:
        moved = {
            text: part.with_number(new)
            for old, new in placed.items()
            if old != new
            for text, part in group.rows[old].items()
        }
        gone = tuple(text for old, rows in group.rows.items() if old not in placed for text in rows)
        numbers = {old: placed.get(old) for old in sorted(group.rows)}
        modules = () if group.is_of_calls else tuple(self._names(group, group.numbers))
        return Shift(moved, gone, (), modules, group.place, numbers)

    def _names(self, group: _Numbered, numbers: Iterable[int]) -> list[str]:
        place = group.place
        return [f"{one}.{place.stem}{number}".lstrip(".") for number in numbers for one in sorted(place.parents)]

    def _unlisted_types(self) -> set[str]:
        """Return the types of layers that the spec has no row of, though the network has had some."""
        keys = [parse_layer_key(key) for key in self._now.values()]
        listed = {name for key in keys for name in matching_modules(key, self._trace)}
        may_be_new = {
            name for group, placed in self._groups for _, names in self._gaps(group, placed)[0] for name in names
        }
        inside = tuple(f"{name}." for name in may_be_new)
        old = [name for name in self._called - listed - may_be_new if not name.startswith(inside)]
        return self._types(old) - self._types(listed)

    def _new(self, group: _Numbered, placed: _Placed, unlisted: set[str]) -> tuple[str, ...]:
        """Return the modules that were put in between the rows, with those inside that the spec lists of all others.

        Layers of a type that others have and the spec doesn't list stay unlisted; so does what may be one of several.
        """
        if len(group.place.parents) > 1 or group.is_of_calls:
            return ()
        gaps, others = self._gaps(group, placed)
        unlisted = unlisted | self._types(others)
        found: list[str] = []
        for inserted, names in gaps:
            added = [name for name in names if self._trace.modules[name].type_name not in unlisted]
            found += added if len(added) <= inserted else []
        listed_there = [group.rows[old].values() for old in placed if group.rows[old]]
        rests = [{part.rest for part in parts if not part.call} for parts in listed_there]
        listed = set.intersection(*rests) or {()}
        rows = [".".join([name, *rest]) for name in found for rest in sorted(listed)]
        return tuple(name for name in rows if name in self._called)

    def _gaps(self, group: _Numbered, placed: _Placed) -> tuple[list[tuple[int, list[str]]], list[str]]:
        """Return how many modules were put in between rows, and what is there; and what is where none were."""
        first = min(group.numbers)
        bounds = [(first - 1, first - 1), *sorted(placed.items())]
        others = self._names(group, [one for one in group.numbers if one > bounds[-1][1]])
        gaps: list[tuple[int, list[str]]] = []
        for (old, new), (next_old, next_new) in pairwise(bounds):
            names = self._names(group, [one for one in group.numbers if new < one < next_new])
            gone = sum(old < one < next_old for one in group.rows)  # not placed, so not there
            inserted = (next_new - new) - (next_old - old - gone)
            if inserted > 0 and not group.is_of_calls:
                gaps.append((inserted, [name for name in names if name in self._called]))
            else:
                others += names
        return gaps, others

    def _types(self, names: Iterable[str]) -> set[str]:
        return {self._trace.modules[name].type_name for name in names}


def _cheapest(group: _Numbered, cost: Callable[[int, int], int]) -> tuple[_Price, _Placed] | None:
    """Return the cheapest way to place the rows in their order, with what it costs; None where there is none."""
    spare = max(0, group.before - len(group.numbers))  # of so many modules the rows may be gone
    ways: dict[_State, tuple[_Price, _Chain]] = {(group.numbers[0] - 1, 0, 0): ((0, 0, 0), None)}
    for old, rows in sorted(group.rows.items()):
        longer: dict[_State, tuple[_Price, _Chain]] = {}
        for (last, offset, gone), (price, chain) in ways.items():
            steps: list[tuple[_State, _Price, _Chain]] = []
            if gone < spare + _MOST_REPLACED:
                fits = bool(rows) and old in group.numbers and not cost(old, old)  # why should it be another, then?
                each = _cost_gone(rows, _GONE if gone < spare else _REPLACED) * (2 if fits else 1)
                steps.append(((last, offset, gone + 1), (each, each, 0), chain))
            for new in (one for one in group.numbers if one > last and abs(one - old) <= _FARTHEST):
                turn, misfit = _TURN if new - old != offset else 0, cost(old, new)
                steps.append(((new, new - old, gone), (turn + misfit, misfit, abs(new - old)), (chain, old, new)))
            for state, more, placed in steps:
                total = (price[0] + more[0], price[1] + more[1], price[2] + more[2])
                if state not in longer or total < longer[state][0]:
                    longer[state] = (total, placed)
        ways = longer
    best = min(ways.values(), key=lambda way: way[0], default=None)
    return None if best is None else (best[0], _as_placed(best[1]))


def _cost_gone(rows: Collection[str], each: int = _GONE) -> int:
    """Return what it costs that a module is gone, with all of its rows."""
    return each * max(len(rows), 1)


def _as_placed(chain: _Chain) -> _Placed:
    placed: _Placed = {}
    while chain is not None:
        chain, old, new = chain
        placed[old] = new
    return dict(sorted(placed.items()))
