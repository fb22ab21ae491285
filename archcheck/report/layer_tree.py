"""The layers of a network as a tree for a picture: calls inside others below them, what repeats folded into one row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from archcheck.report.run_record import Layer
from archcheck.text.words import clip

_LONGEST_PATTERN: Final = 8  # rows that repeat together, such as a convolution, its norm and its activation
_LEAST_SAVING: Final = 2  # rows that folding has to save
_DEEPEST: Final = 40
_NAME_CHARS: Final = 120
_CALL: Final = re.compile(r"\[\d+\]$")
_OPEN_ROWS: Final = 60  # so many are shown at first, level by level


@dataclass(slots=True)
class Row:
    """A row of the picture: a call of a module, or some that repeat.

    prefix: what its name begins with as those around it do, so that it need not be shown again. last_name: that of the
        last of `times` repetitions, of which `name` and the children are those of the first.
    is_first_difference: the first layer that differs is this one. is_open: what is inside is shown at first. place: of
        the layer in the list that the tree was made of; None for what repeats together.
    """

    name: str
    type: str = ""
    output: str | None = None
    parameters: int | None = None
    macs: int | None = None
    level: int = 0
    children: tuple[Row, ...] = ()
    times: int = 1
    last_name: str = ""
    is_first_difference: bool = False
    is_open: bool = False
    prefix: str = ""
    place: int | None = None

    @property
    def label(self) -> str:
        """The name without what those around it begin with."""
        return clip(self.name.removeprefix(self.prefix), _NAME_CHARS)

    @property
    def last_label(self) -> str:
        """The same of the last repetition."""
        return clip(self.last_name.removeprefix(self.prefix), _NAME_CHARS)


@dataclass(frozen=True, slots=True)
class LayerTree:
    """The rows of a network, and for the places of layers that are folded away those of the first ones like them."""

    rows: tuple[Row, ...]
    folded: Mapping[int, int]

    def shown(self, place: int) -> int:
        """Return the place of the layer that is shown for one."""
        while place in self.folded:
            place = self.folded[place]
        return place


def layer_tree(
    layers: Sequence[Layer], first_difference: str | None = None, differing: Container[str] = ()
) -> LayerTree:
    """Return the rows of a network's calls; those that differ, by their names, are never folded away."""
    folding = _Folding(first_difference, differing)
    rows = folding.rows(layers)
    _finish(rows, "", _open_levels(rows))
    return LayerTree(rows, folding.folded)


def all_rows(rows: Sequence[Row]) -> list[Row]:
    """Return rows with all that is inside of them."""
    found: list[Row] = []
    for row in rows:
        found.append(row)
        if row.children:
            found += all_rows(row.children)
    return found


def _open_levels(rows: Sequence[Row]) -> int:
    """Return how many levels are open at first: as many as give a picture that is seen at a glance."""
    sizes = Counter(row.level for row in all_rows(rows))
    return next(
        (level for level in sorted(sizes) if sum(sizes[one] for one in range(level + 2)) > _OPEN_ROWS), _DEEPEST
    )


def _finish(rows: Sequence[Row], prefix: str, open_levels: int) -> bool:
    """Open the first levels, and what leads to the first difference; say what names have in common.

    Returns whether the first difference is among the rows.
    """
    has_first = False
    for row in rows:
        row.prefix = prefix if row.name.startswith(prefix) else ""
        leads_there = False
        if row.children:
            below = f"{_CALL.sub('', row.name)}."
            is_inside = any(child.name.startswith(below) for child in row.children)
            leads_there = _finish(row.children, below if is_inside else row.prefix, open_levels)
            row.is_open = leads_there or row.level < open_levels
        has_first = has_first or leads_there or row.is_first_difference
    return has_first


class _Known(NamedTuple):
    """A row with the number of its kind, how many rows it takes with all inside, and the layers that it stands for."""

    row: Row
    kind: int
    size: int
    start: int
    end: int


class _Folding:
    """Folds what repeats. Each kind of row has a number, so that whole subtrees are compared at once."""

    def __init__(self, first_difference: str | None, differing: Container[str]) -> None:
        self._first_difference, self._differing = first_difference, differing
        self._kinds: dict[tuple[object, ...], int] = {}
        self.folded: dict[int, int] = {}

    def rows(self, layers: Sequence[Layer]) -> tuple[Row, ...]:
        return tuple(one.row for one in self._siblings(layers, 0, len(layers), 0))

    def _siblings(self, layers: Sequence[Layer], start: int, stop: int, level: int) -> list[_Known]:
        """Return the rows of layers that are called side by side, folded."""
        found: list[_Known] = []
        while start < stop:
            end = start + 1
            while level < _DEEPEST and end < stop and layers[end].depth > layers[start].depth:
                end += 1
            inside = self._siblings(layers, start + 1, end, level + 1)
            found.append(self._row(layers[start], level, inside, start, end))
            start = end
        return self._folded(found, level)

    def _row(self, layer: Layer, level: int, inside: list[_Known], start: int, end: int) -> _Known:
        is_first = layer.name == self._first_difference
        row = Row(
            layer.name, layer.type, layer.output, layer.parameters, layer.macs, level,
            tuple(one.row for one in inside), is_first_difference=is_first, place=start,
        )  # fmt: skip
        alone = layer.name if is_first or layer.name in self._differing else ""
        figures = (layer.type, layer.output, layer.parameters, layer.macs, alone)
        kind = self._kind((*figures, *(one.kind for one in inside)))
        return _Known(row, kind, 1 + sum(one.size for one in inside), start, end)

    def _kind(self, features: tuple[object, ...]) -> int:
        return self._kinds.setdefault(features, len(self._kinds))

    def _folded(self, rows: list[_Known], level: int) -> list[_Known]:
        kinds, sizes = [one.kind for one in rows], [one.size for one in rows]
        found: list[_Known] = []
        start = 0
        while start < len(rows):
            length, times = _best_repetition(kinds, sizes, start)
            block = rows[start : start + length]
            if times > 1:
                found.append(
                    self._repeated(block, times, rows[start + length * (times - 1) : start + length * times], level)
                )
            else:
                found += block
            start += length * times
        return found

    def _repeated(self, block: list[_Known], times: int, last: list[_Known], level: int) -> _Known:
        """Return the row of a block that repeats, from its first and its last repetition."""
        size, start, end = sum(one.size for one in block), block[0].start, last[-1].end
        num_layers = block[-1].end - start
        self.folded.update({place: place - num_layers for place in range(start + num_layers, end)})
        kind = self._kind(("repeated", times, *(one.kind for one in block)))
        first_name, last_name = _names(block)[0], _names(last)[-1]
        if len(block) == 1:
            return _Known(replace(block[0].row, times=times, last_name=last_name), kind, size, start, end)
        inside = tuple(_deeper(one.row) for one in block)
        row = Row(first_name, level=level, children=inside, times=times, last_name=last_name)
        return _Known(row, kind, 1 + size, start, end)


def _names(rows: Sequence[_Known]) -> list[str]:
    """Return the names of rows, without those of joins, which have none."""
    return [one.row.name for one in rows if one.row.name] or [""]


def _deeper(row: Row) -> Row:
    return replace(row, level=row.level + 1, children=tuple(map(_deeper, row.children)))


def _best_repetition(kinds: Sequence[int], sizes: Sequence[int], start: int) -> tuple[int, int]:
    """Return how many rows repeat together, and how often: what saves the most rows; 1, 1 where nothing repeats."""
    best, saved = (1, 1), _LEAST_SAVING - 1
    for length in range(1, min(_LONGEST_PATTERN, (len(kinds) - start) // 2) + 1):
        pattern, times = kinds[start : start + length], 1
        while kinds[start + length * times : start + length * (times + 1)] == pattern:
            times += 1
        saving = (times - 1) * sum(sizes[start : start + length])
        if saving > saved:
            best, saved = (length, times), saving
    return best
