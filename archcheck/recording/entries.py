"""Entries of a spec's maps under other keys, or taken out; every other byte is kept, and so is the rows' alignment."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable

from archcheck.errors import UsageError
from archcheck.findings import Keys, Removal, Rename
from archcheck.recording.spec_writer import format_line_key
from archcheck.spec.document import Document, parse_document
from archcheck.spec.positions import LINE_BREAK
from archcheck.text.yaml_flow import format_key

_GAP = re.compile(r":( +)")
_COMMA_BEHIND = re.compile(r"\s*,\s*")
_COMMA_BEFORE = re.compile(r"\s*,\s*\Z")


def change_entries(text: str, path: str, changes: Iterable[Rename | Removal]) -> tuple[str, list[Rename | Removal]]:
    """Return a spec's text with entries renamed and removed, and the changes that were made.

    What isn't there any more is left out, and so is a rename to a key that is there already. Where another entry has
    that key, and is to have a new one itself, that one is renamed first.

    Raises:
        SpecError: the text is no YAML.
        UsageError: an entry can't be changed in place.
    """
    done: list[Rename | Removal] = []
    for change in in_order_of_keys(changes):
        document = parse_document(text, path)
        keys = change.keys if isinstance(change, Rename) else change.removed
        siblings = map_at(document.value, keys[:-1])
        if siblings is None or keys[-1] not in siblings:
            continue
        if isinstance(change, Removal):
            if len(siblings) == 1 and len(keys) > 1:
                change = Removal(keys[:-1])  # an empty section says nothing
            start, end = _extent(document, change.removed)
            text = text[:start] + text[end:]
        elif change.new_key in siblings:
            continue
        else:
            text = _with_other_key(document, keys, change.new_key)
        done.append(change)
    return text, done


def in_order_of_keys(changes: Iterable[Rename | Removal]) -> list[Rename | Removal]:
    """Return changes, each once, such that a key is free before another entry gets it, where there is such an order."""
    unique = dict.fromkeys(changes)
    waiting = [change for change in unique if isinstance(change, Rename)]
    ordered: list[Rename | Removal] = [change for change in unique if not isinstance(change, Rename)]
    while waiting:
        taken = {change.keys for change in waiting}
        free = [change for change in waiting if (*change.keys[:-1], change.new_key) not in taken]
        ordered += free or waiting
        waiting = [change for change in waiting if free and change not in free]
    return ordered


def with_changed_entries(value: dict[str, object], changes: Iterable[Rename | Removal]) -> dict[str, object]:
    """Make the same changes to the plain value of a spec, in place, and return it."""
    for change in changes:
        keys = change.keys if isinstance(change, Rename) else change.removed
        holder = map_at(value, keys[:-1])
        assert holder is not None
        entry = holder.pop(str(keys[-1]))
        if isinstance(change, Rename):
            holder[change.new_key] = entry
    return value


def map_at(value: object, keys: Keys) -> dict[str, object] | None:
    """Return the map at a place of a plain value; None where there is none."""
    for key in keys:
        value = value.get(str(key)) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _key_span(document: Document, keys: Keys) -> tuple[int, int]:
    span = document.key_span(keys)
    if span is None:
        raise UsageError(f"{document.locate(keys)}: this key can't be changed in place; edit it by hand")
    return span


def _with_other_key(document: Document, keys: Keys, new_key: str) -> str:
    """Return the text with one key renamed; where the rows around it are aligned, they stay so."""
    text = document.text
    start, end = _key_span(document, keys)
    key = format_key_like(text[start:end], new_key, document.is_flow(keys[:-1]))
    gaps = aligned_gaps(document, keys)
    growth = len(key) - (end - start)
    more = max(0, growth + 1 - gaps.get(end, growth + 1))  # by which the column moves
    splices = [(start, end, key)]
    for place, gap in gaps.items():
        spaces = gap + more - (growth if place == end else 0)
        splices.append((place + 1, place + 1 + gap, " " * spaces))
    return with_splices(text, splices)


def with_splices(text: str, splices: Iterable[tuple[int, int, str]]) -> str:
    """Return a text with what stands from a start to an end replaced; of those at one place the last comes first."""
    for start, end, new in sorted(splices, key=lambda splice: splice[0])[::-1]:
        text = text[:start] + new + text[end:]
    return text


def aligned_gaps(document: Document, keys: Keys) -> dict[int, int]:
    """Return the spaces before the values of the rows that are aligned with an entry's, by where each row's key ends.

    These are the rows next to each other whose values begin in one column. Unless that is so of all rows, one of them
    has to have more than one space: keys of one length are no layout. Without such rows nothing is returned.
    """
    if document.is_flow(keys[:-1]):
        return {}
    rows = [_gap(document, (*keys[:-1], sibling)) for sibling in map_at(document.value, keys[:-1]) or ()]
    own = _gap(document, keys)
    if own is None:
        return {}
    runs = [list(run) for _, run in itertools.groupby(rows, key=lambda row: row and row[0])]
    run = {row[1]: row[2] for row in next(run for run in runs if own in run) if row is not None}
    is_layout = max(run.values()) > 1 or 1 < len(run) == len(rows)
    return run if is_layout else {}


def _gap(document: Document, keys: Keys) -> tuple[int, int, int] | None:
    """Return the column of a value on the line of its key, where the key ends, and the number of spaces between."""
    key, value = document.key_span(keys), document.span(keys)
    if key is None or value is None:
        return None
    gap = _GAP.fullmatch(document.text, key[1], value[0])
    return None if gap is None else (document.locate(keys).column, key[1], len(gap[1]))


def format_key_like(old: str, key: str, in_flow: bool) -> str:
    """Return a key in the quotes of the old one; without any where there were none, unless it needs them."""
    if old[:1] == "'" and "'" not in key:
        return f"'{key}'"
    if old[:1] == '"':
        return json.dumps(key, ensure_ascii=False)
    return format_key(key) if in_flow else format_line_key(key)


def _extent(document: Document, keys: Keys) -> tuple[int, int]:
    """Return the start and end of what goes with an entry: its lines, or in braces its comma."""
    start, _ = _key_span(document, keys)
    span = document.span(keys)
    if span is None:
        raise UsageError(f"{document.locate(keys)}: this value is shared by an alias; edit it by hand")
    text, end = document.text, span[1]
    if document.is_flow(keys[:-1]):
        behind = _COMMA_BEHIND.match(text, end)
        if behind is not None:
            return start, behind.end()
        before = _COMMA_BEFORE.search(text, 0, start)
        return (start if before is None else before.start()), end
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    found = None if text[end - 1 : end] in ("\n", "\r") else LINE_BREAK.search(text, end)
    return line_start, (end if text[end - 1 : end] in ("\n", "\r") else len(text)) if found is None else found.end()
