"""The result of verifying one spec, as text and as HTML for a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import chain

from archcheck.findings import Mismatch
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_table import format_layers, format_layers_html
from archcheck.structure.records import StructureTrace


def format_verification(
    spec_file: SpecFile,
    trace: StructureTrace | None,
    outcomes: Mapping[str, Sequence[Mismatch]],
    unmeasured: Mapping[str, str],
) -> str:
    """Return the verdict of every check, every mismatch, and the layer table.

    outcomes: the mismatches by check. unmeasured: why a check could not be made, by check.
    """
    verdicts = ", ".join(f"{check} {verdict}" for check, verdict in _verdicts(outcomes, unmeasured))
    parts = [f"{spec_file.name} ({spec_file.document.path}): {verdicts}"]
    mismatches = unique_mismatches(outcomes)
    if mismatches:
        parts.append(format_mismatches(spec_file, mismatches, trace))
    if trace is not None:
        parts.append(format_layers(trace, _listed_depth(spec_file)))
    return "\n\n".join(parts)


def format_verification_html(
    spec_file: SpecFile,
    trace: StructureTrace | None,
    outcomes: Mapping[str, Sequence[Mismatch]],
    unmeasured: Mapping[str, str],
) -> str:
    """Return the same for a notebook."""
    verdicts = " · ".join(
        f"{check} <b>{html.escape(verdict)}</b>" for check, verdict in _verdicts(outcomes, unmeasured)
    )
    parts = [f"<p><b>{html.escape(spec_file.name)}</b>: {verdicts}</p>"]
    mismatches = unique_mismatches(outcomes)
    if mismatches:
        parts.append(f"<pre>{html.escape(format_mismatches(spec_file, mismatches, trace))}</pre>")
    if trace is not None:
        parts.append(format_layers_html(trace, _listed_depth(spec_file)))
    return "".join(parts)


def unique_mismatches(outcomes: Mapping[str, Sequence[Mismatch]]) -> list[Mismatch]:
    """Return everything that differs, check by check, each reason once."""
    found: list[Mismatch] = []
    for one in chain.from_iterable(outcomes.values()):
        if one not in found:
            found.append(one)
    return found


def _verdicts(outcomes: Mapping[str, Sequence[Mismatch]], unmeasured: Mapping[str, str]) -> list[tuple[str, str]]:
    verdicts = [(check, "FAILED" if found else "ok") for check, found in outcomes.items()]
    return verdicts + [(check, f"not measured ({reason})") for check, reason in unmeasured.items()]


def _listed_depth(spec_file: SpecFile) -> int:
    """Return how many levels of modules the spec lists."""
    return max((name.count(".") + 1 for name in spec_file.spec.layers), default=1)
