"""Mismatches as text: `FILE:LINE:`, what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from archcheck.errors import SourceLoc
from archcheck.findings import Mismatch
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import explain
from archcheck.structure.records import StructureTrace

LABEL_WIDTH = 8
BLOCKS_AT_MOST = 20  # in full: one wrong width changes every line of a long table
MISMATCHES_AT_MOST = 200
NAMES_AT_MOST = 4


def format_mismatches(
    spec_file: SpecFile,
    mismatches: Sequence[Mismatch],
    trace: StructureTrace | None,
    accept: str | None = None,
    *,
    tells_all: bool = True,
) -> str:
    """Format mismatches: the first ones as blocks that start with `FILE:LINE:`, those behind them in a line each.

    `accept` is the command that would accept them. Unless `tells_all`, those that only follow from others are one line.
    """
    told = list(mismatches) if tells_all else independent(mismatches)
    blocks = [format_mismatch(spec_file, mismatch, trace, tells_all=tells_all) for mismatch in told[:BLOCKS_AT_MOST]]
    blocks += [headline(spec_file, mismatch) for mismatch in told[BLOCKS_AT_MOST:MISMATCHES_AT_MOST]]
    if len(told) > MISMATCHES_AT_MOST:
        blocks.append(f"{spec_file.document.path}: and {len(told) - MISMATCHES_AT_MOST} more")
    if len(told) < len(mismatches):
        following = [mismatch.subject for mismatch in mismatches if mismatch.follows]
        blocks.append(_line("follows", f"{_counted_names(following, NAMES_AT_MOST)} (-vv tells each)"))
    if accept and any(mismatch.edits for mismatch in mismatches):
        blocks.append(_line("accept", accept))
    return "\n".join(blocks)


def independent(mismatches: Sequence[Mismatch]) -> list[Mismatch]:
    """Return the mismatches that aren't mere consequences of others."""
    return [mismatch for mismatch in mismatches if not mismatch.follows]


def _counted_names(names: Sequence[str], limit: int | None) -> str:
    """Return how many there are, and the first ones: `11 more: conv2, bn2, …`."""
    cut = ", …" if limit is not None and len(names) > limit else ""
    return f"{len(names)} more: {', '.join(names[:limit])}{cut}"


def format_mismatch(
    spec_file: SpecFile, mismatch: Mismatch, trace: StructureTrace | None, *, tells_all: bool = True
) -> str:
    """Format one mismatch: the headline, what was expected, what was found, and what helps to understand it."""
    lines = [headline(spec_file, mismatch)]
    if mismatch.expected is not None:
        lines.append(_line("expected", mismatch.expected))
    if mismatch.actual is not None:
        lines.append(_line("actual", explain(mismatch.actual)))
    description = _description(mismatch, trace)
    if description:
        lines.append(_line("module", description))
    lines += [_line(label, text) for label, text in labelled_notes(mismatch, tells_all=tells_all)]
    return "\n".join(lines)


def labelled_notes(mismatch: Mismatch, *, tells_all: bool = True) -> list[tuple[str, str]]:
    """Return the further texts of a mismatch, each with its label, and last what else differs behind it."""
    notes = [(label, explain(text)) for label, text in mismatch.notes]
    names = _counted_names(mismatch.behind, None if tells_all else NAMES_AT_MOST)
    return [*notes, ("behind", names)] if mismatch.behind else notes


def format_difference(mismatch: Mismatch, trace: StructureTrace) -> str:
    """Format a difference between two networks, of which neither is a spec's."""
    lines = [f"first difference in function: {mismatch.subject}: {mismatch.problem}"]
    lines += [_line(label, text) for label, text in (("left", mismatch.expected), ("right", mismatch.actual)) if text]
    description = _description(mismatch, trace)
    notes = [("module", description)] if description else []
    notes += labelled_notes(mismatch, tells_all=False)
    return "\n".join([*lines, *(_line(label, text) for label, text in notes)])


def headline(spec_file: SpecFile, mismatch: Mismatch) -> str:
    """Return `FILE:LINE: subject: problem`."""
    return f"{location(spec_file, mismatch)}: {gist(mismatch)}"


def location(spec_file: SpecFile, mismatch: Mismatch) -> SourceLoc:
    """Return the line to tell a mismatch at: that of its value, or of the key where it speaks of all that is below."""
    keys = mismatch.keys
    is_of_table = keys[:1] == ("layers",) and len(keys) < 3
    return spec_file.locate(keys, key=bool(keys) and (keys[-1] == mismatch.subject or is_of_table))


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
