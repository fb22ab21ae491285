"""Listed layers that have other numbers now, as one was put in before them or taken out.

The modules inside one are often numbered, by nn.Sequential or by hand (conv1, conv2). One more renumbers all behind it,
so that each row speaks of another layer than it was written for. Here the rows of such modules are aligned with those
that are there now: in their order, such that the least of what the spec says isn't so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
_GONE: Final = OTHER_LAYER  # what a row costs that is dropped as there are fewer modules
_REPLACED: Final = _GONE + 4  # where there aren't: one was taken out here, and another put in elsewhere
_MOST_REPLACED: Final = 2  # rows of one place: with more, nothing is told apart any more
_TURN: Final = 1  # what it costs that the numbers move by something else from here on
_FARTHEST: Final = 24  # by which a number may move
_NUMBERED: Final = re.compile(r"(.*?)(0|[1-9]\d*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shift:
    """What became of the rows of modules that are numbered in one place.

    moved: the keys that rows have now, by those in the file. gone: rows whose modules aren't there any more. new: the
    modules that were put in. modules: all that are numbered there now.
    """

    moved: Mapping[str, str]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(slots=True)
class _Numbered:
    """Rows of one place, by the number that they have, and the numbers that there are now.

    before: how many modules there were at least.
    """

    parent: str
    stem: str
    rows: dict[int, list[str]] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    before: int = 0

    def key(self, number: int) -> str:
        return format_inner_key(self.parent, f"{self.stem}{number}")


_Placed: TypeAlias = dict[int, int]  # numbers that rows had, and those that they have
_Chain: TypeAlias = tuple["_Chain", int, int] | None  # a row's old and new number, behind those of the rows before
_Price: TypeAlias = tuple[int, int]  # what a way to place rows costs, and how many it moves
_State: TypeAlias = tuple[int, int, int]  # the last number that is taken, by how much it moved, how many rows are gone


def find_shifts(
    layers: Mapping[str, Layer],
    now: Mapping[str, str],
    labels: Sequence[str],
    trace: StructureTrace,
    misfit: Misfit,
) -> list[Shift]:
    """Find the rows that have other numbers, from the outermost modules to the innermost.

    `now` has the keys that rows are known to have now, which may be others than those in the file. `labels` are of the
    layers whose function was recorded.
    """
    now, found = dict(now), list[Shift]()
    for level in range(max((parse_layer_key(key).pattern.count(".") for key in now.values()), default=-1) + 1):
        for group in _groups(now, labels, trace, level):
            placed = _aligned(group, layers, now, misfit)
            if placed is not None:
                found.append(_shift(group, placed, now, trace))
                now |= found[-1].moved
                now = {text: key for text, key in now.items() if text not in found[-1].gone}
    return found


def _groups(now: Mapping[str, str], labels: Sequence[str], trace: StructureTrace, level: int) -> Iterator[_Numbered]:
    """Yield the rows whose names have a number at a level, by what is around that and the word before it."""
    groups: dict[tuple[str, str], _Numbered] = {}
    for text, key in now.items():
        place = _place(parse_layer_key(key).pattern, level)
        if place is not None:
            parent, stem, number = place
            group = groups.setdefault((parent, stem), _Numbered(parent, stem))
            group.rows.setdefault(number, []).append(text)
    for group in groups.values():
        parents = _modules(group.parent, trace)
        inside = [name for name in trace.modules if name and name.rpartition(".")[0] in parents]
        numbers: dict[str, set[int]] = {}
        for parent, stem, number in _places(inside, level):
            if stem == group.stem:
                numbers.setdefault(parent, set()).add(number)
        if len({frozenset(one) for one in numbers.values()}) != 1:
            continue  # a glob's row can't have one number in one place and another in another
        group.numbers = sorted(next(iter(numbers.values())))
        recorded = [parse_layer_key(label).name for label in labels]
        known = {number for name, stem, number in _places(recorded, level) if stem == group.stem and name in parents}
        known |= set(group.rows)
        group.before = max(known) + 1 - min(*known, group.numbers[0])
        yield group


def _place(pattern: str, level: int) -> tuple[str, str, int] | None:
    """Return what is around a part of a name, the word in it, and its number; None where it has none."""
    parts = pattern.split(".")
    if len(parts) <= level or "**" in pattern:
        return None
    match = _NUMBERED.fullmatch(parts[level])
    return None if match is None else (".".join(parts[:level]), match[1], int(match[2]))


def _places(names: Sequence[str], level: int) -> Iterator[tuple[str, str, int]]:
    return (place for name in names for place in [_place(name, level)] if place is not None)


def _modules(key: str, trace: StructureTrace) -> set[str]:
    return set(matching_modules(parse_layer_key(key), trace)) if key else {ROOT}


# ------------------------------------------------------------------------------------------- aligning


def _aligned(group: _Numbered, layers: Mapping[str, Layer], now: Mapping[str, str], misfit: Misfit) -> _Placed | None:
    """Return the numbers that rows have now, those of gone rows left out; None where they stay as they are."""
    known: dict[tuple[int, int], list[int]] = {}

    def misfits(old: int, new: int) -> list[int]:
        if (old, new) not in known:
            rows = group.rows[old]
            known[old, new] = [misfit(_moved(now[text], group, new), layers[text]) for text in rows]
        return known[old, new]

    def cost(old: int, new: int) -> int:
        return sum(misfits(old, new))

    present = set(group.numbers)
    costs = {old: cost(old, old) if old in present else _GONE * len(group.rows[old]) for old in group.rows}
    if not any(costs.values()):
        return None
    best = _cheapest(group, cost)
    if best is None or best[0] >= sum(costs.values()):
        return None
    moved = [pair for old, new in best[1].items() for pair in zip(misfits(old, old), misfits(old, new), strict=True)]
    is_known = any(there < here and (there <= OTHER_OUTPUT or there < OTHER_LAYER <= here) for here, there in moved)
    return best[1] if is_known else None


def _cheapest(group: _Numbered, cost: Callable[[int, int], int]) -> tuple[int, _Placed] | None:
    """Return the cheapest way to place the rows in their order, with what it costs; None where there is none."""
    spare = max(0, group.before - len(group.numbers))  # of so many modules the rows may be gone
    ways: dict[_State, tuple[_Price, _Chain]] = {(group.numbers[0] - 1, 0, 0): ((0, 0), None)}
    for old, rows in sorted(group.rows.items()):
        longer: dict[_State, tuple[_Price, _Chain]] = {}
        for (last, offset, gone), ((price, num_moved), chain) in ways.items():
            steps: list[tuple[_State, int, _Chain]] = []
            if gone < spare + _MOST_REPLACED:
                each = _GONE if gone < spare else _REPLACED
                steps.append(((last, offset, gone + 1), each * len(rows), chain))
            for new in (one for one in group.numbers if one > last and abs(one - old) <= _FARTHEST):
                turn = _TURN if new - old != offset else 0
                steps.append(((new, new - old, gone), turn + cost(old, new), (chain, old, new)))
            for state, more, placed in steps:
                total = (price + more, num_moved + (state[1] != 0))
                if state not in longer or total < longer[state][0]:
                    longer[state] = (total, placed)
        ways = longer
    best = min(ways.values(), key=lambda way: way[0], default=None)
    return None if best is None else (best[0][0], _as_placed(best[1]))


def _as_placed(chain: _Chain) -> _Placed:
    placed: _Placed = {}
    while chain is not None:
        chain, old, new = chain
        placed[old] = new
    return dict(sorted(placed.items()))


# ------------------------------------------------------------------------------------------- what came of it


def _shift(group: _Numbered, placed: _Placed, now: Mapping[str, str], trace: StructureTrace) -> Shift:
    moved = {
        text: _moved(now[text], group, new) for old, new in placed.items() if old != new for text in group.rows[old]
    }
    gone = tuple(text for old, texts in group.rows.items() if old not in placed for text in texts)
    modules = [name for number in group.numbers for name in _modules(group.key(number), trace)]
    return Shift(moved, gone, _new(group, placed, trace), tuple(modules))


def _moved(key: str, group: _Numbered, number: int) -> str:
    """Return a row's key with another number."""
    parsed = parse_layer_key(key)
    level = group.parent.count(".") + 1 if group.parent else 0
    rest = parsed.pattern.split(".")[level + 1 :]
    call = "" if parsed.call is None else f"[{parsed.call}]"
    return ".".join([group.key(number), *rest]) + call


def _new(group: _Numbered, placed: _Placed, trace: StructureTrace) -> tuple[str, ...]:
    """Return the modules that were put in between the rows.

    Layers of a type that others there have and the spec doesn't list stay unlisted; so does what may be one of several.
    """
    if parse_layer_key(group.parent).is_glob:
        return ()
    called = {call.name for call in trace.forwards[0].calls}
    first = min(group.numbers)
    bounds = [(first - 1, first - 1), *sorted(placed.items())]
    unlisted: set[str] = set()
    gaps: list[tuple[int, list[str]]] = []  # how many were put in, and what is there
    for (old, new), (next_old, next_new) in pairwise(bounds):
        names = [name for number in range(new + 1, next_new) for name in _modules(group.key(number), trace)]
        gone = sum(old < one < next_old for one in group.rows)  # not placed, so not there
        inserted = (next_new - new) - (next_old - old - gone)
        if inserted > 0:
            gaps.append((inserted, [name for name in names if name in called]))
        else:
            unlisted |= {trace.modules[name].type_name for name in names}
    unlisted |= {trace.modules[name].type_name for number in group.numbers if number > bounds[-1][1]
                 for name in _modules(group.key(number), trace)}  # fmt: skip
    found: list[str] = []
    for inserted, names in gaps:
        added = [name for name in names if trace.modules[name].type_name not in unlisted]
        found += added if len(added) <= inserted else []
    return tuple(found)
