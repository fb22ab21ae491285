"""Tables as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

GAP: Final = "  "  # between two columns


def clip_start(text: str, limit: int) -> str:
    """Return the end of a text, at most `limit` characters, the first a `…` where something was cut off."""
    return text if len(text) <= limit else "…" + text[len(text) - limit + 1 :]


def format_table(rows: Iterable[Sequence[str]], headers: Sequence[str], align: Sequence[str], style: str) -> str:
    """Return a table made by tabulate, cells taken as text (tabulate would read `1_000` and `1e3` as numbers)."""
    from tabulate import tabulate

    return tabulate(rows, headers=headers, tablefmt=style, colalign=tuple(align), disable_numparse=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that is to fit a width.

    Attributes:
        goes: when it is left out where there is no room: the column with the lowest number first; None: never.
        least: to how many characters its cells may be cut short; None: they stay whole.
        clip: what cuts a cell short.
    """

    header: str
    cells: Sequence[str]
    is_right: bool = False
    goes: int | None = None
    least: int | None = None
    clip: Callable[[str, int], str] = clip_start

    @property
    def width(self) -> int:
        """The width of its longest text."""
        return max(map(len, (self.header, *self.cells)))

    @property
    def least_width(self) -> int:
        """The width that it can't do without."""
        return self.width if self.least is None else min(self.width, max(self.least, len(self.header)))


def fit_columns(columns: Sequence[Column], width: int) -> list[Column]:
    """Leave out the columns that matter least, and cut cells short, until the table is no wider than `width`."""
    left = list(columns)
    while _total(one.least_width for one in left) > width and any(one.goes is not None for one in left):
        left.remove(min((one for one in left if one.goes is not None), key=lambda one: one.goes or 0))
    excess = _total(one.width for one in left) - width
    for i, one in enumerate(left):
        cut = min(max(excess, 0), one.width - one.least_width)
        if cut:
            left[i] = replace(one, cells=[one.clip(cell, one.width - cut) for cell in one.cells])
            excess -= cut
    return left


def table_width(columns: Sequence[Column]) -> int:
    """Return how wide a table is with all its columns as they are."""
    return _total(one.width for one in columns)


def _total(widths: Iterable[int]) -> int:
    return sum(width + len(GAP) for width in widths) - len(GAP)


def format_columns(columns: Sequence[Column]) -> list[str]:
    """Return the lines of a table: the headers, a rule, and a line for each row."""
    widths = [one.width for one in columns]
    headers = [one.header for one in columns]
    rows = zip(*(one.cells for one in columns), strict=True)
    padded = [
        GAP.join(
            cell.rjust(width) if one.is_right else cell.ljust(width)
            for cell, width, one in zip(cells, widths, columns, strict=True)
        ).rstrip()
        for cells in (headers, *rows)
    ]
    return [padded[0], GAP.join("-" * width for width in widths), *padded[1:]]
