"""Entries added to a map as those beside them are written: quotes, columns, braces, grouping of digits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from archcheck.findings import Keys
from archcheck.recording.entries import aligned_gaps, format_key_like, map_at, with_splices
from archcheck.recording.spec_writer import MAX_COLUMN_CHARS
from archcheck.spec.document import Document, parse_document
from archcheck.text.yaml_flow import format_flow, format_key

_LONG_NUMBER: Final = re.compile(r"(?<![\w.*/+()-])\d{4,}(?=[\] ,}]|\Z)")
_GROUPED: Final = re.compile(r"\d_\d{3}")
_UNGROUPED: Final = re.compile(r"(?<![\w.])\d{4,}(?![\w.])")
_COUNT: Final = "parameters"  # whose digits are grouped unless those of others aren't

Splice: TypeAlias = tuple[int, int, str]


def format_entry(document: Document, parent: Keys, beside: str | None, key: str, value: Any) -> tuple[str, str]:
    """Return an entry to add to a map beside another one, and the text of the file with room for it."""
    text = document.text
    if beside is None:
        return f"{format_key_like('', key, document.is_flow(parent))}: {format_flow(value)}", text
    written = document.key_span((*parent, beside))
    old = "" if written is None else text[slice(*written)]
    name = format_key_like(_quote_like(document, parent, key), key, document.is_flow(parent))
    gaps = aligned_gaps(document, (*parent, beside)) if written is not None else {}
    gap, splices = 1, list[Splice]()
    if written is not None and max(gaps.values(), default=1) > 1:  # keys of one length are no layout
        width = len(old) + gaps[written[1]]
        gap = max(1, width - len(name))
        more = len(name) + gap - width
        splices = [(end + 1, end + 1, " " * more) for end in gaps]
    cells, room = _format_value(document, parent, beside, value)
    space = "" if cells.startswith("\n") else " " * gap
    return f"{name}:{space}{cells}", with_splices(text, [*splices, *room])


def _quote_like(document: Document, parent: Keys, key: str) -> str:
    """Return the quote in which most keys of a map are written that need one as much as a key does; "" for none."""
    siblings = map_at(document.value, parent) or {}
    alike = [one for one in siblings if (format_key(one) == one) == (format_key(key) == key)] or siblings
    spans = [document.key_span((*parent, one)) for one in alike]
    first = Counter(document.text[span[0]] for span in spans if span is not None)
    quote, number = max(((one, first[one]) for one in "'\""), key=lambda pair: pair[1])
    return quote if 2 * number > first.total() else ""


def _format_value(document: Document, parent: Keys, beside: str, value: Any) -> tuple[str, list[Splice]]:
    """Return a value as those of other entries are written, and the spaces by which their columns move for it."""
    siblings = map_at(document.value, parent) or {}
    texts = {key: _text(document, (*parent, key)) for key in siblings}
    rows = _rows(document, parent) if parent else []
    if document.is_flow(parent) and _quote_like(document, parent, "a") == '"' and not rows:
        return json.dumps(value, ensure_ascii=False), []
    if not isinstance(value, dict):
        return _grouped(_as_json(value, texts[beside]), [one for one in texts.values() if one], by_default=False), []
    if not rows:
        inner = (document.locate((*parent, key, *list(one)[:1]), key=True).column for key, one in siblings.items()
                 if isinstance(one, dict) and one and not document.is_flow((*parent, key)))  # fmt: skip
        indent = next(inner, None)
        cells = [_cell(key, item, list(texts.values())) for key, item in value.items()]
        if indent is None or document.is_flow(parent):
            return f"{{{', '.join(cells)}}}", []
        return "\n".join(["", *(" " * (indent - 1) + cell for cell in cells)]), []
    like = max(rows, key=lambda row: (len(row.starts.keys() & value.keys()), row.keys[-1] == beside))
    ordered = sorted(value, key=lambda key: list(like.starts).index(key) if key in like.starts else len(like.starts))
    return _format_cells({key: value[key] for key in ordered}, like, rows)


def _rows(document: Document, parent: Keys) -> list[_Row]:
    """Return the entries of a map that are maps in braces on one line."""
    inner = {key: value for key, value in (map_at(document.value, parent) or {}).items() if isinstance(value, dict)}
    rows = [_Row(document, (*parent, key), value) for key, value in inner.items()]
    return [row for row in rows if row.text.startswith("{") and "\n" not in row.text and row.starts]


def _format_cells(value: Mapping[str, Any], like: _Row, rows: Sequence[_Row]) -> tuple[str, list[Splice]]:
    line, room = like.opening, list[Splice]()
    moved = dict.fromkeys(rows, 0)  # by how much what is behind has moved in each
    for position, (key, item) in enumerate(value.items()):
        if position:
            line += ", "
            column = _column(key, rows, moved)
            too_long = len(line) - column if column is not None else 0
            if column is not None and 0 < too_long <= MAX_COLUMN_CHARS - column:
                for row in rows:
                    start = row.first_from(column - moved[row])
                    if start is not None:
                        room.append((start, start, " " * too_long))
                        moved[row] += too_long
            line = line.ljust(column or 0)
        cells = [row.cell(key) for row in rows if key in row.starts]
        line += _cell(key, item, cells, is_json=like.is_json)
    return line + like.closing, room


def _cell(key: str, item: Any, like: Sequence[str], *, is_json: bool = False) -> str:
    if is_json:
        return f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}"
    return f"{key}: {_grouped(format_flow(item), like, by_default=key == _COUNT)}"


def _column(key: str, rows: Sequence[_Row], moved: Mapping[_Row, int]) -> int | None:
    """Return where a cell begins in rows that have columns; None where they have none."""
    having = [row for row in rows if key in row.starts and next(iter(row.starts)) != key]
    places = Counter(row.offset(key) + moved[row] for row in having)
    has_columns = any(row.is_spaced(one) for row in rows for one in row.starts)
    is_column = any(row.is_spaced(key) for row in having) or (has_columns and len(places) == 1 < len(having))
    return places.most_common(1)[0][0] if is_column else None


def with_columns_kept(before: Document, text: str, parent: Keys) -> str:
    """Return a text whose values were changed, with the cells of a map's rows in columns where they were before.

    A column moves to the right where a value has become too long for it.
    """
    after = parse_document(text, before.path)
    old, new = ({row.keys[-1]: row for row in _rows(one, parent)} for one in (before, after))
    if not old or old.keys() != new.keys():
        return text
    splices: list[Splice] = []
    moved = dict.fromkeys(new, 0)
    nothing = dict.fromkeys(old.values(), 0)
    for key in dict.fromkeys(key for row in old.values() for key in row.starts):
        column = _column(key, list(old.values()), nothing)
        members = [name for name, row in old.items() if key in row.starts and row.offset(key) == column]
        natural = {name: new[name].natural_offset(key) + moved[name] for name in members}
        target = max([column or 0, *(one for one in natural.values() if one <= (column or 0) + MAX_COLUMN_CHARS)])
        for name in members:
            row = new[name]
            gap = row.offset(key) - row.natural_offset(key)
            wanted = max(0, target - natural[name])
            splices.append((row.starts[key] - gap, row.starts[key], " " * wanted))
            moved[name] += wanted - gap
    return with_splices(text, splices)


class _Row:
    """A map in braces on one line, and where its cells begin."""

    def __init__(self, document: Document, keys: Keys, value: Mapping[str, Any]) -> None:
        self.keys = keys
        self.text = _text(document, keys)
        span = document.span(keys)
        self._start = span[0] if span is not None else 0
        spans = {key: document.key_span((*keys, key)) for key in value}
        self.starts = {key: found[0] for key, found in spans.items() if found is not None}

    @property
    def opening(self) -> str:
        return self.text[: min(self.starts.values()) - self._start]

    @property
    def closing(self) -> str:
        inside = self.text[:-1]
        return self.text[len(inside.rstrip()) :]

    @property
    def is_json(self) -> bool:
        return self.text[len(self.opening)] == '"'

    def offset(self, key: str) -> int:
        return self.starts[key] - self._start

    def natural_offset(self, key: str) -> int:
        """Return where a cell would begin with a single space before it."""
        before = self.text[: self.offset(key)]
        return len(before.rstrip(" ")) + min(1, len(before) - len(before.rstrip(" ")))

    def is_spaced(self, key: str) -> bool:
        """Return whether there are more spaces before a cell than the one that is always there."""
        return self.text[: self.offset(key)].endswith("  ")

    def first_from(self, offset: int) -> int | None:
        """Return where the first cell begins, but for the very first, that is as far to the right or farther."""
        later = sorted(self.starts.values())[1:]
        return next((start for start in later if start - self._start >= offset), None)

    def cell(self, key: str) -> str:
        """Return the text of a cell, with what is behind it up to the next."""
        later = [start for start in self.starts.values() if start > self.starts[key]]
        return self.text[self.offset(key) : min(later, default=self._start + len(self.text)) - self._start]


def _text(document: Document, keys: Keys) -> str:
    span = document.span(keys)
    return "" if span is None else document.text[slice(*span)]


def _as_json(value: Any, like: str) -> str:
    """Return a plain value, in JSON where another one is."""
    try:
        is_json = '"' in like and bool(json.loads(like))
    except ValueError:
        is_json = False
    return json.dumps(value, ensure_ascii=False) if is_json else format_flow(value)


def _grouped(text: str, like: Sequence[str], *, by_default: bool) -> str:
    """Return a text with the digits of its long numbers grouped, if those of others are."""
    groups = any(map(_GROUPED.search, like)) or (by_default and not any(map(_UNGROUPED.search, like)))
    return _LONG_NUMBER.sub(lambda match: f"{int(match[0]):_}", text) if groups else text
