"""Tables as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(rows: Iterable[Sequence[str]], headers: Sequence[str], align: Sequence[str], style: str) -> str:
    """Return a table made by tabulate, cells taken as text (tabulate would read `1_000` and `1e3` as numbers)."""
    from tabulate import tabulate

    return tabulate(rows, headers=headers, tablefmt=style, colalign=tuple(align), disable_numparse=True)
