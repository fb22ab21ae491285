"""A report as a file: which format its name asks for, and its text."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from archcheck.errors import UsageError
from archcheck.report.run_record import RunRecord, read_run
from archcheck.system.files import written_at_once

SUFFIXES: Final = (".html", ".md", ".json")


def require_report_name(path: Path, shown: str, also: str = "") -> None:
    """Raise UsageError for a file whose name says no format."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{shown}: expected a file that ends with .html, .md or .json{also}")


def format_report(record: RunRecord, suffix: str) -> str:
    """Return a report in the format of a suffix."""
    if suffix == ".json":
        return record.to_json(indent=1) + "\n"
    if suffix == ".md":
        from archcheck.report.markdown import format_markdown

        return format_markdown(record)
    from archcheck.report.page import format_page

    return format_page(record)


def write_report(record: RunRecord, path: Path) -> None:
    """Write a report in the format of its name, at once.

    Raises:
        OSError: it can't be written.
    """
    write_text(format_report(record, path.suffix.lower()), path)


def write_text(text: str, path: Path) -> None:
    """Write a text at once, and the folders that its path needs.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_at_once(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def read_report(name: str) -> RunRecord:
    """Read the JSON of a run.

    Raises:
        UsageError: it can't be read, or is no such JSON.
    """
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise UsageError(f"{name}: can't be read: {reason}") from None
    return read_run(text, name)
