"""Entries of a spec's maps under other keys, or taken out; every other byte is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from archcheck.errors import UsageError
from archcheck.findings import Keys, Removal, Rename
from archcheck.recording.spec_writer import format_line_key
from archcheck.spec.document import Document, parse_document
from archcheck.spec.positions import LINE_BREAK
from archcheck.text.yaml_flow import format_key

_COMMA_BEHIND = re.compile(r"\s*,\s*")
_COMMA_BEFORE = re.compile(r"\s*,\s*\Z")


def change_entries(text: str, path: str, changes: Iterable[Rename | Removal]) -> tuple[str, list[Rename | Removal]]:
    """Return a spec's text with entries renamed and removed, and the changes that were made.

    What isn't there any more is left out, and so is a rename to a key that is there already.

    Raises:
        SpecError: the text is no YAML.
        UsageError: an entry can't be changed in place.
    """
    done: list[Rename | Removal] = []
    for change in dict.fromkeys(changes):
        document = parse_document(text, path)
        keys = change.keys if isinstance(change, Rename) else change.removed
        siblings = _map_at(document.value, keys[:-1])
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
            start, end = _key_span(document, keys)
            text = (
                text[:start] + _format_like(text[start:end], change.new_key, document.is_flow(keys[:-1])) + text[end:]
            )
        done.append(change)
    return text, done


def with_changed_entries(value: dict[str, object], changes: Iterable[Rename | Removal]) -> dict[str, object]:
    """Make the same changes to the plain value of a spec, in place, and return it."""
    for change in changes:
        keys = change.keys if isinstance(change, Rename) else change.removed
        holder = _map_at(value, keys[:-1])
        assert holder is not None
        entry = holder.pop(str(keys[-1]))
        if isinstance(change, Rename):
            holder[change.new_key] = entry
    return value


def _map_at(value: object, keys: Keys) -> dict[str, object] | None:
    for key in keys:
        value = value.get(str(key)) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _key_span(document: Document, keys: Keys) -> tuple[int, int]:
    span = document.key_span(keys)
    if span is None:
        raise UsageError(f"{document.locate(keys)}: this key can't be changed in place; edit it by hand")
    return span


def _format_like(old: str, key: str, in_flow: bool) -> str:
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
