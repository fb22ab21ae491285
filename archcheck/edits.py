"""Accepting what was measured: values of a spec file replaced or added in place, every other byte kept."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archcheck.checks import Edit
from archcheck.errors import ArchcheckError, UsageError
from archcheck.patterns import format_pattern
from archcheck.source import Document
from archcheck.spec import SpecFile, parse_spec

# The order of a spec's keys, by which a section that is added finds its place.
SECTION_ORDER = ("name", "source", "build", "args", "input", "sizes", "layers", "output", "parameters", "macs")


def apply_edits(text: str, path: str, edits: Iterable[Edit], additions: Mapping[str, str]) -> str:
    """The text of a spec with values replaced and whole sections added (section name -> its text).

    Raises:
        UsageError: a value can't be replaced in place, or the result would not be a valid spec.
    """
    spec_file = parse_spec(text, path)
    splices = [_splice(spec_file, edit) for edit in _unique(edits)]
    for section in SECTION_ORDER:
        if section in additions:
            splices.append(_insertion(spec_file.document, section, additions[section]))
    # Backwards, so that offsets stay true; what is added at one place is so added last first.
    for start, end, new in sorted(splices, key=lambda splice: splice[0])[::-1]:
        text = text[:start] + new + text[end:]
    try:
        parse_spec(text, path)
    except ArchcheckError as error:
        raise UsageError(f"{path}: updating would break the file, nothing was written: {error}") from None
    return text


def _unique(edits: Iterable[Edit]) -> Iterable[Edit]:
    """One edit for each place: all of a glob's mismatches bring the same one."""
    return {edit.keys: edit for edit in edits}.values()


def _splice(spec_file: SpecFile, edit: Edit) -> tuple[int, int, str]:
    document = spec_file.document
    span = document.span(spec_file.written(edit.keys))
    if span is None:
        at = spec_file.locate(edit.keys)
        raise UsageError(f"{at}: this value can't be updated in place (it is shared by an alias); edit it by hand")
    start, end = span
    return start, end, _format_like(document.text[start:end], edit.value)


def _format_like(old: str, value: Any) -> str:
    """A new value in the style of the old one: its quotes, its grouping of digits."""
    if isinstance(value, int):
        grouped = "_" in old or not re.fullmatch(r"\d{4,}", old)
        text = f"{value:_}" if grouped else str(value)
    else:
        text = value if isinstance(value, str) else format_pattern(value)
    quote = old[:1] if old[:1] in ("'", '"') and isinstance(value, (int, str)) else ""
    return f"{quote}{text}{quote}"


def _insertion(document: Document, section: str, body: str) -> tuple[int, int, str]:
    if document.is_flow(()):
        raise UsageError(f"{document.path}: `{section}` can't be added to a file written as one {{…}}; add it by hand")
    before = [key for key in SECTION_ORDER[: SECTION_ORDER.index(section)] if key in document.value]
    span = document.span((max(before, key=lambda key: (document.span((key,)) or (0, 0))[1]),))
    assert span is not None
    end = document.text.find("\n", span[1])
    newline = "\r\n" if "\r\n" in document.text else "\n"
    body = body.replace("\n", newline)
    if end < 0:
        return len(document.text), len(document.text), newline + body + newline
    return end + 1, end + 1, body + newline


def format_diff(path: str, old: str, new: str) -> str:
    """A unified diff of a file."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=1)
    return "\n".join(lines)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's contents at once: a reader, or a crash, sees the old file or the new one and nothing between.

    Raises:
        UsageError: the file or its folder can't be written.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.stat().st_mode & 0o222:
        raise UsageError(f"{path}: can't be written: it is read-only")
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(temporary, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror or error}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
