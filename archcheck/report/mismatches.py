"""Mismatches as text: `FILE:LINE:`, what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from archcheck.findings import Mismatch
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import explain
from archcheck.structure.records import StructureTrace

LABEL_WIDTH = 8
BLOCKS_AT_MOST = 20  # in full: one wrong width changes every line of a long table
MISMATCHES_AT_MOST = 200


def format_mismatches(
    spec_file: SpecFile, mismatches: Sequence[Mismatch], trace: StructureTrace | None, accept: str | None = None
) -> str:
    """Format mismatches: the first ones as blocks that start with `FILE:LINE:`, those behind them in a line each.

    `accept` is the command that would accept them.
    """
    blocks = [format_mismatch(spec_file, mismatch, trace) for mismatch in mismatches[:BLOCKS_AT_MOST]]
    blocks += [headline(spec_file, mismatch) for mismatch in mismatches[BLOCKS_AT_MOST:MISMATCHES_AT_MOST]]
    if len(mismatches) > MISMATCHES_AT_MOST:
        blocks.append(f"{spec_file.document.path}: and {len(mismatches) - MISMATCHES_AT_MOST} more")
    if accept and any(mismatch.edits for mismatch in mismatches):
        blocks.append(_line("accept", accept))
    return "\n".join(blocks)


def format_mismatch(spec_file: SpecFile, mismatch: Mismatch, trace: StructureTrace | None) -> str:
    """Format one mismatch: the headline, what was expected, what was found, and what helps to understand it."""
    lines = [headline(spec_file, mismatch)]
    if mismatch.expected is not None:
        lines.append(_line("expected", mismatch.expected))
    if mismatch.actual is not None:
        lines.append(_line("actual", explain(mismatch.actual)))
    description = _description(mismatch, trace)
    if description:
        lines.append(_line("module", description))
    lines += [_line(label, explain(text)) for label, text in mismatch.notes]
    return "\n".join(lines)


def format_difference(mismatch: Mismatch, trace: StructureTrace) -> str:
    """Format a difference between two networks, of which neither is a spec's."""
    lines = [f"first difference in function: {mismatch.subject}: {mismatch.problem}"]
    lines += [_line(label, text) for label, text in (("left", mismatch.expected), ("right", mismatch.actual)) if text]
    description = _description(mismatch, trace)
    notes = [("module", description)] if description else []
    return "\n".join([*lines, *(_line(label, explain(text)) for label, text in [*notes, *mismatch.notes])])


def headline(spec_file: SpecFile, mismatch: Mismatch) -> str:
    """Return `FILE:LINE: subject: problem`."""
    loc = spec_file.locate(mismatch.keys, key=bool(mismatch.keys) and mismatch.keys[-1] == mismatch.subject)
    return f"{loc}: {gist(mismatch)}"


def gist(mismatch: Mismatch) -> str:
    """Return `subject: problem`, for summaries that have the file already."""
    subject = mismatch.subject if mismatch.subject.isprintable() else repr(mismatch.subject)
    return f"{subject}: {mismatch.problem}"


def _line(label: str, text: str) -> str:
    first, *rest = text.splitlines() or [""]
    indent = " " * (LABEL_WIDTH + 4)
    return "\n".join([f"  {label:<{LABEL_WIDTH}}  {first}", *(indent + line for line in rest)])


def _description(mismatch: Mismatch, trace: StructureTrace | None) -> str | None:
    if trace is None or mismatch.module is None:
        return None
    return trace.descriptions.get(mismatch.module)


# ------------------------------------------------------------------------------------------- tables
