"""The picture of a network: its layers as rows, with how long their bars are, how strong their colours, and their arcs.

An arc leads past other layers: a skip connection, a branch. Where it ends on the screen depends on what is folded, so
that `templates/network.js` draws it; here is said which row takes what.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from markupsafe import Markup

from archcheck.report.layer_tree import LayerTree, Row, all_rows, layer_tree
from archcheck.report.rendering import template_environment
from archcheck.report.run_record import SpecResult
from archcheck.spec.layer_keys import parse_layer_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INPUT: Final = -1  # the place of what goes into the network; that of what comes out is behind the last layer's
_NUM_SHADES: Final = 5
_NAMES_AT_MOST: Final = 6
_SAID_AT_MOST: Final = 3  # of a layer


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a layer and isn't so: what of it, and what that should be; empty where that is no short text."""

    what: str
    expected: str = ""


class _Told(Protocol):
    """What a failure tells: a record of a report, or a mismatch."""

    @property
    def subject(self) -> str: ...
    @property
    def problem(self) -> str: ...
    @property
    def expected(self) -> str | None: ...


def said_by_spec(failures: Iterable[_Told]) -> dict[str, list[Said]]:
    """Return by layer what a spec says of it and isn't so."""
    found: dict[str, list[Said]] = {}
    for one in failures:
        said = found.setdefault(one.subject, [])
        if len(said) < _SAID_AT_MOST:
            says = f"{one.problem}; the spec says" if one.expected is not None else one.problem
            said.append(Said(says, one.expected or ""))
    return found


class Picture:
    """The rows of a network as the template draws them.

    said: by the name of a layer, what is said of it and isn't so. depth: levels that are open at first; None where
    that is left to what is of interest. takes: in words, what rows take besides what comes from the one before; flow:
    the attributes by which their arcs are drawn; both by place.
    """

    def __init__(
        self, result: SpecResult, said: Mapping[str, Sequence[Said]] | None = None, depth: int | None = None
    ) -> None:
        self.said, self._depth, self._layers = said or {}, depth, result.layers
        tree = layer_tree(result.layers, result.first_difference, self.said)
        self.rows, self.output_place = tree.rows, len(result.layers)
        rows = list(all_rows(self.rows))
        leaves = [row for row in rows if not row.children]
        self._most_params = max((row.parameters or 0 for row in leaves), default=0) or 1
        self._most_macs = max((row.macs or 0 for row in leaves), default=0) or 1
        self._memory = _with_inner(result.memory)
        self._most_memory = max((self.memory(row) for row in leaves), default=0) or 1
        sources = {row.place: self._sources_of(row.place, tree) for row in rows if row.place is not None}
        sources[self.output_place] = _unique(map(tree.shown, result.output_sources))
        skipped = dict(_skips([row.place for row in leaves if row.place is not None], self.output_place, sources))
        self.has_input_row = any(INPUT in places for places in skipped.values())
        self.has_output_row = self.output_place in skipped
        self.has_arcs = bool(skipped)
        self.takes = {place: self._in_words(places) for place, places in skipped.items()}
        self.flow = {place: _attributes(place, taken) for place, taken in sources.items()} if skipped else {}
        if skipped:
            self.flow[INPUT] = _attributes(INPUT, ())

    def _sources_of(self, place: int, tree: LayerTree) -> tuple[int, ...]:
        """Return the places that are shown for what a layer takes."""
        shown = map(tree.shown, self._layers[place].sources)
        return _unique(one for one in shown if one < place)

    def _in_words(self, places: Sequence[int]) -> str:
        names = [self._name(one) for one in places[:_NAMES_AT_MOST]]
        more = f" and {len(places) - _NAMES_AT_MOST} more" if len(places) > _NAMES_AT_MOST else ""
        return f"takes {', '.join(names)}{more}"

    def _name(self, place: int) -> str:
        if place == INPUT:
            return "the input"
        layer = self._layers[place]
        return layer.name or layer.type

    def is_open(self, row: Row) -> bool:
        """Return whether what is inside of a row is shown at first."""
        return row.is_open if self._depth is None else row.level < self._depth - 1

    def memory(self, row: Row) -> int:
        """Return the bytes that a layer holds with all inside; 0 where that isn't known, and for a further call."""
        if not self._memory or not row.name:
            return 0
        key = parse_layer_key(row.name)
        return 0 if key.call else self._memory.get(key.name, 0)

    def bar(self, row: Row, memory: int) -> Markup:
        """Return the bar of a row.

        It is as long as its parameters are a share of the largest layer's, and cut off there, where more are inside.
        Its colour is as strong as the root of its share of the most expensive layer's multiply-adds, or memory.
        """
        share = (row.parameters or 0) / self._most_params
        shades = f"m{_shade((row.macs or 0) / self._most_macs)}"
        if self._memory:
            shades += f" k{_shade(memory / self._most_memory)}"
        beyond = " beyond" if share > 1 else ""
        return Markup(f'<i class="{shades}{beyond}" style="width:{min(100.0, 100 * share):.3g}%"></i>')


def _shade(share: float) -> int:
    return math.ceil(_NUM_SHADES * math.sqrt(min(1.0, share)))


def _with_inner(memory: Mapping[str, int]) -> dict[str, int]:
    """Return what layers hold with all inside of them, from what they hold themselves."""
    found: dict[str, int] = {}
    for name, size in memory.items():
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            around = ".".join(parts[:length])
            found[around] = found.get(around, 0) + size
    return found


def _skips(
    leaves: Sequence[int], output: int, sources: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the places that take what doesn't come from the one before, with what that is."""
    for before, place in zip([INPUT, *leaves], [*leaves, output], strict=True):
        taken = sources[place]
        if taken != (before,) and (far := tuple(one for one in taken if one != before)):
            yield place, far


def _attributes(place: int, sources: Sequence[int]) -> Markup:
    """Return the attributes by which a row's arcs are drawn: its place, and how far above it is what it takes."""
    taken = " ".join([str(place - source) for source in sources])
    return Markup(f' data-n="{place}" data-of="{taken}"' if sources else f' data-n="{place}"')


def _unique(places: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(places))


def draw_network(
    result: SpecResult, said: Mapping[str, Sequence[Said]] | None = None, depth: int | None = None
) -> Markup:
    """Return the picture of a network as HTML; `templates/network.css` and `network.js` belong to it."""
    picture = Picture(result, said, depth)
    return Markup(template_environment().get_template("network.html").render(picture=picture, spec=result))
