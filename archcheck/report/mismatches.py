"""Mismatches and tables to text. Nothing is measured or compared here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from archcheck.spec.models import SpecFile
from archcheck.spec.values import BATCH
from archcheck.structure.compare import Mismatch
from archcheck.structure.patterns import format_calls, format_output
from archcheck.structure.records import ForwardRecord, StructureTrace

if TYPE_CHECKING:
    from archcheck.verification import Verification

LABEL_WIDTH = 8
BLOCKS_AT_MOST = 20  # in full: one wrong width changes every line of a long table
MISMATCHES_AT_MOST = 200


def format_mismatches(
    spec_file: SpecFile, mismatches: Sequence[Mismatch], trace: StructureTrace | None, accept: str | None = None
) -> str:
    """Every mismatch: the first ones as blocks that start with `FILE:LINE:`, those behind them in a line each.

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
    """One mismatch: the headline, then what was expected, what was found, and what helps to understand it."""
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
    """What differs between two networks, of which neither is a spec's."""
    lines = [f"first difference in function: {mismatch.subject}: {mismatch.problem}"]
    lines += [_line(label, text) for label, text in (("left", mismatch.expected), ("right", mismatch.actual)) if text]
    description = _description(mismatch, trace)
    notes = [("module", description)] if description else []
    return "\n".join([*lines, *(_line(label, explain(text)) for label, text in [*notes, *mismatch.notes])])


def headline(spec_file: SpecFile, mismatch: Mismatch) -> str:
    """`FILE:LINE: subject: problem`, for one-line summaries."""
    loc = spec_file.locate(mismatch.keys, key=bool(mismatch.keys) and mismatch.keys[-1] == mismatch.subject)
    subject = mismatch.subject if mismatch.subject.isprintable() else repr(mismatch.subject)
    return f"{loc}: {subject}: {mismatch.problem}"


def _line(label: str, text: str) -> str:
    first, *rest = text.splitlines() or [""]
    indent = " " * (LABEL_WIDTH + 4)
    return "\n".join([f"  {label:<{LABEL_WIDTH}}  {first}", *(indent + line for line in rest)])


def _description(mismatch: Mismatch, trace: StructureTrace | None) -> str | None:
    if trace is None or mismatch.module is None:
        return None
    return trace.descriptions.get(mismatch.module)


# One error has as many texts as torch has kernels for it.
_SHAPE_ERRORS = [
    (
        re.compile(r"RuntimeError: (?:\w+: )?mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)"),
        "features",
    ),
    (
        re.compile(r"RuntimeError: a and b must have same reduction dim, but got \[.*?(\d+)\] X \[(\d+), \d+\]\.?"),
        "features",
    ),
    (
        re.compile(
            r"RuntimeError: Given (?:groups|transposed)=\d+, weight of size \[.*?\], expected input\[.*?\] "
            r"to have (?P<expected>\d+) channels, but got (?P<actual>\d+) channels instead"
        ),
        "channels",
    ),
]


def explain(text: str) -> str:
    """Torch's most common shape errors in the words of a layer: what comes in and what it was made for."""
    for pattern, what in _SHAPE_ERRORS:
        match = pattern.search(text)
        if match:
            groups = match.groupdict() or {"actual": match[1], "expected": match[2]}
            reworded = f"{groups['actual']} {what} in, {groups['expected']} expected"
            return text[: match.start()] + reworded + text[match.end() :]
    return text


# ------------------------------------------------------------------------------------------- tables


def format_table(rows: Iterable[Sequence[str]], headers: Sequence[str], align: Sequence[str], style: str) -> str:
    """A table by tabulate, cells taken as text (tabulate would read `1_000` and `1e3` as numbers)."""
    from tabulate import tabulate

    return tabulate(rows, headers=headers, tablefmt=style, colalign=tuple(align), disable_numparse=True)


def format_count(value: int | None) -> str:
    """A count with its digits grouped."""
    return "-" if value is None else f"{value:_}"


def format_macs(macs: int | None) -> str:
    """Multiply-adds to four significant digits, with their unit."""
    if macs is None:
        return "-"
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if macs >= size:
            scaled = macs / size
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f} {unit}"
    return str(macs)


LAYER_HEADERS = ("layer", "type", "output", "parameters", "MACs")
LAYER_ALIGN = ("left", "left", "left", "right", "right")


def layer_rows(trace: StructureTrace, depth: int | None = None) -> list[tuple[str, str, str, str, str]]:
    """The first forward's calls in the order of execution, down to `depth` dots (all of them without)."""
    forward = trace.forwards[0]
    batch = forward.sizes.get(BATCH, 1)
    outputs = format_calls(trace)
    calls = forward.num_calls()
    rows = []
    for call in forward.calls:
        level = call.name.count(".") + 1
        if not call.name or (depth is not None and level > depth):
            continue
        module = trace.modules[call.name]
        name = f"{call.name}[{call.index}]" if calls[call.name] > 1 else call.name
        output = outputs.get((call.name, call.index), "-")
        params = f"{module.num_params:_}" if module.num_params and call.index == 0 else "-"
        rows.append(
            ("  " * (level - 1) + name, module.type_name, output, params, format_macs(call.macs // batch or None))
        )
    return rows


def format_layers(trace: StructureTrace, depth: int | None = None) -> str:
    """The layer table with its totals below."""
    table = format_table(layer_rows(trace, depth), LAYER_HEADERS, LAYER_ALIGN, "simple")
    return "\n".join([table, *totals(trace)])


def totals(trace: StructureTrace) -> list[str]:
    """What the layer table ends with: output, parameters, multiply-adds, and anything unusual about the run."""
    root, forward = trace.root, trace.forwards[0]
    lines = ["", f"output      {format_output(trace)}"]
    frozen = f", {root.num_frozen_params:_} of them frozen" if root.num_frozen_params else ""
    buffers = f", and {root.num_buffers:_} in buffers" if root.num_buffers else ""
    lines.append(f"parameters  {root.num_params:_}{frozen}{buffers}")
    if trace.macs is not None:
        per = "one example" if BATCH in forward.sizes else "this input"
        lines.append(f"macs        {format_macs(trace.macs)} ({trace.macs:_}) for {per}")
    return lines + _unusual(trace, forward)


def _unusual(trace: StructureTrace, forward: ForwardRecord) -> list[str]:
    lines = []
    if trace.uninitialized:
        lines.append(f"not counted lazy layers that the forward never reached: {', '.join(trace.uninitialized)}")
    if trace.uncounted:
        lines.append(f"not in macs {', '.join(trace.uncounted)}")
    if trace.fallback_reason:
        lines.append(f"ran on      {trace.device}: {trace.fallback_reason}")
    if forward.crash is not None:
        lines.append(f"stopped at  {forward.crash.module or 'the network itself'}: {explain(forward.crash.error)}")
    return lines


# ------------------------------------------------------------------------------------------- one verification


def _verdicts(result: Verification) -> list[tuple[str, str]]:
    verdicts = [(check, "FAILED" if found else "ok") for check, found in result.outcomes.items()]
    return verdicts + [(check, f"not measured ({reason})") for check, reason in result.unmeasured.items()]


def format_verification(result: Verification) -> str:
    """The verdict of every check, every mismatch, and the layer table."""
    verdicts = ", ".join(f"{check} {verdict}" for check, verdict in _verdicts(result))
    parts = [f"{result.spec_file.name} ({result.spec_file.document.path}): {verdicts}"]
    if result.mismatches:
        parts.append(format_mismatches(result.spec_file, result.mismatches, result.trace))
    if result.trace is not None:
        parts.append(format_layers(result.trace, _listed_depth(result.spec_file)))
    return "\n\n".join(parts)


def _listed_depth(spec_file: SpecFile) -> int:
    return max((name.count(".") + 1 for name in spec_file.spec.layers), default=1)


def format_verification_html(result: Verification) -> str:
    """The same for a notebook."""
    verdicts = " · ".join(f"{check} <b>{html.escape(verdict)}</b>" for check, verdict in _verdicts(result))
    parts = [f"<p><b>{html.escape(result.spec_file.name)}</b>: {verdicts}</p>"]
    if result.mismatches:
        text = format_mismatches(result.spec_file, result.mismatches, result.trace)
        parts.append(f"<pre>{html.escape(text)}</pre>")
    if result.trace is not None:
        parts.append(format_layers_html(result.trace, _listed_depth(result.spec_file)))
    return "".join(parts)


def format_layers_html(trace: StructureTrace, depth: int | None = None) -> str:
    """The layer table for a notebook."""
    rows = [[cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in row] for row in layer_rows(trace, depth)]
    table = format_table(rows, LAYER_HEADERS, LAYER_ALIGN, "html")
    return f"{table}<pre>{html.escape(chr(10).join(totals(trace)).strip())}</pre>"


def describe_stop(trace: StructureTrace) -> str | None:
    """Why the forward didn't get through, None where it did."""
    from archcheck.structure.compare import describe_crash

    if trace.died is not None:
        return f"the forward stopped at {explain(describe_crash(trace.died[1]))}"
    if trace.uninitialized:
        return f"the forward never calls the lazy layers {', '.join(trace.uninitialized)}"
    return None
