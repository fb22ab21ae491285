"""Sections of a spec recorded from the trace of its network."""

from __future__ import annotations

from collections.abc import Sequence

from archcheck.checks.check import CheckContext, Recording
from archcheck.errors import UsageError
from archcheck.recording.spec_writer import format_sections


def record_structure(context: CheckContext, absent: Sequence[str]) -> Recording:
    """Record the sections that are absent, of which the trace has the values.

    Raises:
        UsageError: the forward stopped, or none of them can be recorded.
    """
    if not absent:
        return Recording()
    trace = context.network.trace
    sections = format_sections(trace)
    found = {key: sections[key] for key in absent if key in sections}
    if not found:
        unknown = f": nobody knows the multiply-adds of {', '.join(trace.uncounted)}"
        raise UsageError(f"no {' or '.join(absent)} can be recorded{unknown if trace.uncounted else ''}")
    return Recording(found)
