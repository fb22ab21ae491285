"""The result of verifying one spec, as text and as HTML for a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from archcheck.findings import Mismatch
from archcheck.report.mismatches import format_mismatches
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.layer_table import format_layers
from archcheck.structure.records import FlowRecord, StructureTrace


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
    flow: FlowRecord | None = None,
) -> str:
    """Return the same for a notebook, with the network as a picture; flow: where what its layers take comes from."""
    from archcheck.report.network_page import ShownNetwork, format_for_notebook
    from archcheck.report.picture import said_by_spec
    from archcheck.report.spec_record import first_difference

    verdicts = " · ".join(
        f"{check} <b>{html.escape(verdict)}</b>" for check, verdict in _verdicts(outcomes, unmeasured)
    )
    head = f"<p><b>{html.escape(spec_file.name)}</b>: {verdicts}</p>"
    mismatches = unique_mismatches(outcomes)
    if mismatches:
        head += f"<pre>{html.escape(format_mismatches(spec_file, mismatches, trace))}</pre>"
    if trace is None:
        return head
    shown = ShownNetwork.of("", trace, flow, said_by_spec(mismatches), depth=_listed_depth(spec_file))
    first = first_difference(shown.result.layers, mismatches)
    return format_for_notebook(replace(shown, result=replace(shown.result, first_difference=first)), head)


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
