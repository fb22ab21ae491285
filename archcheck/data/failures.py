"""What foreign code raised, in one line."""

from __future__ import annotations

from pathlib import Path

from archcheck.network.build import one_line, raised_at


def one_line_with_place(error: BaseException, rootdir: Path | None = None) -> str:
    """`KeyError: 'x' (at data.py:3)`: what was raised, and the user's line that did."""
    where = raised_at(error, rootdir)
    return f"{one_line(error)} (at {where})" if where else one_line(error)
