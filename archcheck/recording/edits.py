"""Edits of a spec file's text: values that were measured are replaced or added in place, every other byte is kept."""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from archcheck.errors import SpecError, UsageError
from archcheck.findings import Addition, Change, Edit, Keys, Removal, Rename
from archcheck.recording.entries import change_entries, with_changed_entries, with_splices
from archcheck.recording.rows import format_entry, with_columns_kept
from archcheck.recording.spec_writer import format_block, is_table
from archcheck.spec.document import Document, parse_document
from archcheck.spec.known_keys import known_keys
from archcheck.spec.positions import LINE_BREAK
from archcheck.spec.spec_file import SpecFile, parse_spec
from archcheck.structure.patterns import format_pattern
from archcheck.system.files import written_at_once
from archcheck.text.words import key_text
from archcheck.text.yaml_flow import format_flow, format_key
from archcheck.text.yaml_scalars import resolve_scalar

_ABSENT = object()
_ANCHOR = re.compile(r"&\S+\s+")
_PLAIN_TEXT = re.compile(r"[\w.(](?:[\w ./+*()-]*[\w.)*])?", re.ASCII)  # `129.36 k`, `(H+1)/2`

Splice: TypeAlias = tuple[int, int, str]  # what is replaced, from start to end, and by what


def apply_edits(text: str, path: str, edits: Iterable[Change], additions: Mapping[str, str]) -> str:
    """Return the text of a spec with values replaced or added, and whole sections added (section name -> its text).

    An edit whose key is absent adds it to the mapping that it names, which must be there. A map replaces a map entry by
    entry. Entries are renamed and removed behind that; those that aren't there any more are left out. Last come the
    entries that are added beside these; those that are there already are left out.

    Raises:
        UsageError: a value can't be replaced or added in place, or the result would not be the spec that was meant.
    """
    changes = list(edits)
    shared = parse_spec(text, path)
    text = _with_values_apart(shared, changes)
    try:
        spec_file = parse_spec(text, path)
    except SpecError as error:
        raise UsageError(f"{path}: its anchors can't be written out, nothing was written: {error}") from None
    document = spec_file.document
    changes = [Removal(spec_file.written(one.removed)) if isinstance(one, Removal) else one for one in changes]
    if document.value != shared.document.value:
        raise UsageError(f"{path}: its anchors can't be written out, nothing was written; edit it by hand")
    wanted = _wanted(document, changes)
    absent = [edit for edit in wanted if _value_at(document.value, spec_file.written(edit.keys)) is _ABSENT]
    present = [edit for edit in wanted if edit not in absent]
    splices = list(dict.fromkeys(_replacement(spec_file, edit) for edit in present))
    for section in known_keys(()):
        if section in additions:
            entry = _entry_like(document, section, additions[section])
            splices.append(_insertion(document, (section,), entry))
    new = with_splices(text, splices)
    try:
        for edit in absent:  # one by one, as each may stand behind the one before
            value = _format(edit.value) if isinstance(edit.value, str) else format_flow(edit.value)
            entry = f"{format_key(str(edit.keys[-1]))}: {value}"
            new = with_splices(new, [_insertion(parse_document(new, path), edit.keys, entry)])
        if isinstance(document.value.get("layers"), dict):
            new = with_columns_kept(document, new, ("layers",))
        edited = parse_document(new, path).value
        late = _late(changes)
        new, moved = change_entries(
            new, path, [one for one in changes if isinstance(one, Rename | Removal) and one not in late]
        )
        new, added = _with_additions(new, path, [one for one in changes if isinstance(one, Addition)])
        new, removed = change_entries(new, path, late)
        result = parse_spec(new, path).document.value
    except SpecError as error:
        raise UsageError(f"{path}: updating would break the file, nothing was written: {error}") from None
    kept = [*(spec_file.written(edit.keys) for edit in present), *((section,) for section in additions)]
    is_as_meant = edited == _expected(document.value, edited, kept, absent)
    meant = with_changed_entries(edited, moved)
    for one in added:
        _value_at(meant, one.added[:-1])[str(one.added[-1])] = one.entry
    meant = with_changed_entries(meant, removed)
    if not is_as_meant or result != meant:
        raise UsageError(f"{path}: updating would change more than it should, nothing was written; edit it by hand")
    return new


def _late(changes: Iterable[Change]) -> list[Removal]:
    """Return what is removed only when entries have been added, as a map with nothing in it is none to add to.

    A key that another entry gets has to be free before.
    """
    changes = list(changes)
    wanted = {one.added for one in changes if isinstance(one, Addition)}
    taken = wanted | {(*one.keys[:-1], one.new_key) for one in changes if isinstance(one, Rename)}
    return [one for one in changes if isinstance(one, Removal) and wanted and one.removed not in taken]


def _wanted(document: Document, changes: Iterable[Change]) -> list[Edit]:
    values = [edit for edit in changes if isinstance(edit, Edit)]
    return [one for edit in _unique(values) for one in _differing(document.value, edit)]


def _with_values_apart(spec_file: SpecFile, changes: Sequence[Change]) -> str:
    """Return a spec's text in which values that an anchor shares are written out, unless all of them change alike.

    Raises:
        UsageError: such a value takes several lines, so that there is no room for it in the place of an alias.
    """
    document = spec_file.document
    text = document.text
    edits = {spec_file.written(edit.keys): edit.value for edit in _wanted(document, changes)}
    removed = [change.removed for change in changes if isinstance(change, Removal)]
    splices: dict[Splice, None] = {}
    for keys in [*edits, *removed]:
        places = document.mentions(keys)
        changed = [
            {key[len(place) :]: str(new) for key, new in edits.items() if key[: len(place)] == place}
            for place in places
        ]
        if not places or (keys not in removed and all(one == changed[0] for one in changed)):
            continue
        (start, end), *aliases = places.values()
        anchor = _ANCHOR.match(text, start)
        if "\n" in text[start:end] or anchor is None:
            raise _shared(document, keys)
        splices[start, anchor.end(), ""] = None
        splices |= {(first, last, text[anchor.end() : end]): None for first, last in aliases}
    return with_splices(text, splices)


def _unique(edits: Iterable[Edit]) -> Iterable[Edit]:
    """Return one edit for each place: all of a glob's mismatches bring the same one."""
    return {edit.keys: edit for edit in edits}.values()


def _differing(value: Any, edit: Edit) -> Iterator[Edit]:
    """Yield the edits of a map's entries, so that the file's layout of them stays; none where nothing changes."""
    old = _value_at(value, edit.keys)
    if isinstance(old, dict) and _is_record(edit.value) and old and old.keys() <= edit.value.keys():
        for key, item in edit.value.items():
            yield from _differing(value, Edit((*edit.keys, key), item))
    elif type(old) is not type(edit.value) or old != edit.value:
        yield edit


def _is_record(value: Any) -> bool:
    """Return whether a value is a map of plain values, and not one of shapes."""
    if not isinstance(value, dict):
        return False
    return all(
        item is None or isinstance(item, str | int | float | list) or _is_record(item) for item in value.values()
    )


def _value_at(value: Any, keys: Keys) -> Any:
    for part in keys:
        if isinstance(value, dict) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
            value = value[part]
        else:
            return _ABSENT
    return value


def _expected(old: Any, new: Any, kept: Iterable[Keys], added: Iterable[Edit]) -> Any:
    """Return the old document with the values of the new one at the places `kept`, and with what was added."""
    expected = copy.deepcopy(old)
    changes = [*((keys, _value_at(new, keys)) for keys in kept), *((edit.keys, edit.value) for edit in added)]
    for (*parent, last), value in changes:
        holder = _value_at(expected, tuple(parent))
        holder[last if isinstance(holder, list) else str(last)] = value
    return expected


# ------------------------------------------------------------------------------------------- replacing


def _replacement(spec_file: SpecFile, edit: Edit) -> Splice:
    document = spec_file.document
    span = document.span(spec_file.written(edit.keys), shared=True)
    assert span is not None  # it is there
    start, end = span
    anchor = _ANCHOR.match(document.text, start)
    start = start if anchor is None else anchor.end()
    if (
        _is_record(edit.value)
        and is_table(edit.value)
        and not document.is_flow(edit.keys)
        and not document.is_flow(edit.keys[:-1])
    ):
        if not isinstance(_value_at(document.value, edit.keys), dict):
            return _block_for_scalar(document, edit, start, end)
        column = document.locate(edit.keys).column
        return start, end, "\n".join(format_block(edit.value, column - 1)).lstrip()
    if isinstance(edit.value, list) and _is_block_list(document, edit.keys):
        indent = " " * (document.locate(edit.keys).column - 1)
        return start, end, "\n".join(f"{indent}- {format_flow(item)}" for item in edit.value).lstrip()
    # A value that isn't written at all stands right behind its colon.
    return start, end, _format_like(document.text[start:end], edit.value) if end > start else f" {_format(edit.value)}"


def _is_block_list(document: Document, keys: Keys) -> bool:
    return isinstance(_value_at(document.value, keys), list) and not document.is_flow(keys)


def _block_for_scalar(document: Document, edit: Edit, start: int, end: int) -> Splice:
    """Return the splice that writes a block below a key in the place of its value; a comment stays beside the key."""
    found = LINE_BREAK.search(document.text, end)
    line_end = found.start() if found is not None else len(document.text)
    indent = document.locate(edit.keys, key=True).column + 1
    comment = document.text[end:line_end].strip()
    newline = found[0] if found is not None else "\n"
    start -= len(document.text[:start]) - len(document.text[:start].rstrip(" "))
    return start, line_end, newline.join([f"  {comment}" if comment else "", *format_block(edit.value, indent)])


def _shared(document: Document, keys: Keys) -> UsageError:
    at = document.locate(keys)
    return UsageError(f"{at}: this value can't be updated in place (it is shared by an alias); edit it by hand")


def _format_like(old: str, value: Any) -> str:
    """Return a new value in the style of the old one: its quotes, its grouping of digits."""
    quote = old[:1] if old[:1] in ("'", '"') else ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{quote}{_format(value, grouped='_' in old or not re.fullmatch(r'[0-9]{4,}', old))}{quote}"
    if quote and isinstance(value, str) and value.isprintable() and not set(value) & set("'\"\\"):
        return f"{quote}{value}{quote}"
    return _format(value)


def _format(value: Any, *, grouped: bool = True) -> str:
    """Return a value that was measured as text; without quotes, unless it would be read as something else."""
    if isinstance(value, bool | float) or _is_record(value):
        return format_flow(value)
    if isinstance(value, int):
        return f"{value:_}" if grouped else str(value)
    if isinstance(value, str):
        return value if _PLAIN_TEXT.fullmatch(value) and resolve_scalar(value) == value else format_flow(value)
    return format_pattern(value)


# ------------------------------------------------------------------------------------------- adding


def _insertion(document: Document, keys: Keys, entry: str, behind: str | None = None) -> Splice:
    """Put an entry, such as `epochs: 3`, behind one, or the siblings which come before its key, or else behind all."""
    parent, key = keys[:-1], str(keys[-1])
    siblings = _value_at(document.value, parent)
    if not isinstance(siblings, dict):
        where = ".".join(map(str, parent))
        raise UsageError(f"{document.locate(parent)}: `{key_text(key)}` can't be added: {where} is no map to add it to")
    span = document.span(parent)
    if span is None:
        raise _shared(document, parent)
    if not siblings:
        return span[0] + 1, span[0] + 1, entry
    found = document.span((*parent, behind)) if behind is not None else None
    sibling, end = (behind, found[1]) if behind is not None and found else _sibling_before(document, parent, key)
    if document.is_flow(parent):
        has_comment = "#" in LINE_BREAK.split(document.text[end:], 1)[0]  # which would go with the new entry
        space = " " if has_comment else _space_before(document, (*parent, sibling))
        return end, end, f",{space}{entry}"
    column = document.locate((*parent, sibling), key=True).column
    return _line_after(document.text, end, " " * (column - 1) + entry)


def _with_additions(text: str, path: str, additions: Iterable[Addition]) -> tuple[str, list[Addition]]:
    """Return a spec's text with entries added, and those that were; what is there already, or has no map, is left."""
    done: list[Addition] = []
    waiting = [*additions]
    while waiting:
        document = parse_document(text, path)
        ready = (one for one in waiting if one.behind is None or _is_there(document, (*one.added[:-1], one.behind)))
        one = next(ready, waiting[0])  # it may go behind another one
        waiting.remove(one)
        siblings = _value_at(document.value, one.added[:-1])
        if not isinstance(siblings, dict) or str(one.added[-1]) in siblings:
            continue
        beside = one.behind if one.behind in siblings else next(iter(siblings), None)
        entry, text = format_entry(document, one.added[:-1], beside, str(one.added[-1]), one.entry)
        document = parse_document(text, path)
        if one.behind is None and siblings:
            splice = _insertion_in_front(document, one.added[:-1], next(iter(siblings)), entry)
        else:
            splice = _insertion(document, one.added, entry, one.behind)
        text = with_splices(text, [splice])
        done.append(one)
    return text, done


def _is_there(document: Document, keys: Keys) -> bool:
    return _value_at(document.value, keys) is not _ABSENT


def _insertion_in_front(document: Document, parent: Keys, first: str, entry: str) -> Splice:
    """Put an entry before the first one of a map."""
    span = document.key_span((*parent, first))
    if span is None:
        raise _shared(document, parent)
    space = _space_before(document, (*parent, first))
    return span[0], span[0], f"{entry},{space}" if document.is_flow(parent) else entry + space


def _space_before(document: Document, keys: Keys) -> str:
    """Return what stands before an entry that isn't the first of its line's: one that begins it brings a new line."""
    start = document.locate(keys, key=True).column - 1
    written = document.key_span(keys)
    assert written is not None  # it isn't shared
    before = document.text[written[0] - start : written[0]]
    return _newline(document.text) + before if not before.strip(" \t") else " "


def _entry_like(document: Document, key: str, text: str) -> str:
    """Return the text of a section, such as a whole table, as it stands in a file that is one pair of braces."""
    if not document.is_flow():
        return text
    value = parse_document(text, document.path).value[key]
    return format_entry(document, (), next(iter(document.value)), key, value)[0]


def _newline(text: str) -> str:
    first = LINE_BREAK.search(text)
    return first[0] if first else "\n"


def _sibling_before(document: Document, parent: Keys, key: str) -> tuple[str, int]:
    """Return the last in the file of the siblings that come before a key in a spec's order, or else of all siblings.

    With where its value ends; that isn't known of values that an alias shares, so nothing is put behind them.
    """
    spans = {sibling: document.span((*parent, sibling)) for sibling in _value_at(document.value, parent)}
    ends: dict[str, int] = {sibling: span[1] for sibling, span in spans.items() if span is not None}
    if not ends:
        raise _shared(document, parent)
    known = known_keys(parent)
    earlier = known[: known.index(key)] if key in known else ()
    before = {sibling: end for sibling, end in ends.items() if sibling in earlier}
    return max((before or ends).items(), key=lambda item: item[1])


def _line_after(text: str, end: int, line: str) -> Splice:
    """Put lines behind the line in which a value ends."""
    newline = _newline(text)
    line = line.replace("\n", newline)
    if text[end - 1 : end] in ("\n", "\r"):  # a text that keeps the blank lines behind it
        return end, end, line + newline
    found = LINE_BREAK.search(text, end)
    if found is None:
        return len(text), len(text), newline + line
    return found.end(), found.end(), line + newline


# ------------------------------------------------------------------------------------------- files


def format_diff(path: str, old: str, new: str) -> str:
    """Return a unified diff of a file."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=1)
    return "\n".join(lines)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's contents at once, so that nobody ever reads half of it.

    Raises:
        UsageError: the file or its folder can't be written.
    """
    if os.path.exists(path) and not os.stat(path).st_mode & 0o222:
        raise UsageError(f"{path}: can't be written: it is read-only")
    try:
        with written_at_once(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror or error}") from None
