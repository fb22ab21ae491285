"""What older specs had recorded in their `function` section, moved to where it stands now: the lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archcheck.errors import SpecError
from archcheck.findings import Edit, Removal
from archcheck.recording.edits import write_atomically
from archcheck.recording.entries import change_entries
from archcheck.recording.lock_writer import changed_lock, format_lock
from archcheck.spec.document import parse_document, read_text
from archcheck.spec.file_names import lock_path
from archcheck.spec.lock import LOCK
from archcheck.spec.models import RECORDED


def has_inline_record(path: Path) -> bool:
    """Return whether a spec has recorded numbers in its `function` section."""
    try:
        value = parse_document(read_text(path, str(path)), str(path)).value.get("function")
    except SpecError:
        return False
    return isinstance(value, dict) and not value.keys().isdisjoint(RECORDED)


def move_inline_record(path: Path, shown: str) -> None:
    """Move the whole `function` section of a spec to its lock, which is written first; no other byte changes.

    Raises:
        SpecError: the spec isn't valid without it.
        UsageError: a file can't be written.
    """
    old = path.read_bytes().decode("utf-8")
    document = parse_document(old, shown)
    value: dict[str, Any] = document.value
    text, _ = change_entries(old, shown, [Removal(("function",))])
    start, _ = document.key_span(("function",)) or (len(old), 0)
    if text[:start].endswith("\n\n") and text[start:].startswith("\n"):
        text = text[: start - 1] + text[start:]  # one blank line between what stood around it
    lock = changed_lock({}, str(value.get("build", "")), [Edit((LOCK, "function"), value["function"])])
    del lock["recorded_with"]  # nobody knows
    write_atomically(lock_path(path), format_lock(lock))
    write_atomically(path, text.rstrip("\n") + "\n")
