"""The check `compute`: multiply-adds of one example."""

from __future__ import annotations

from typing import Any

from archcheck.checks.check import Check, CheckContext, Needs, Recording
from archcheck.checks.outcome import Outcome
from archcheck.checks.recording import record_structure
from archcheck.findings import Edit, Keys, Mismatch
from archcheck.spec.models import Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash
from archcheck.structure.records import StructureTrace


def check_compute(spec_file: SpecFile, trace: StructureTrace) -> list[Mismatch]:
    """Compare the multiply-adds of one example at the first size, to the digits written."""
    macs = spec_file.spec.macs
    if macs is None:
        return []
    if trace.macs is None:
        reason = f"forward stopped at {describe_crash(trace.died[1])}" if trace.died else "no forward ran"
        return [Mismatch(("macs",), "macs", "can't be counted", macs.text, None, None, (("note", reason),))]
    if macs.matches(trace.macs):
        return []
    accepted, exact = macs.reformat(trace.macs), f"{trace.macs:_}"
    # A count is rewritten as a count, in the file's own grouping of digits; text with a unit as it is.
    new: Any = trace.macs if accepted == exact else accepted
    actual = exact if accepted == exact else f"{accepted} ({exact})"
    edits = (Edit(("macs",), new),)
    return [Mismatch(("macs",), "macs", "multiply-adds differ", macs.text, actual, None, (), edits)]


class ComputeCheck(Check):
    """Compare the multiply-adds of one example at the first size."""

    name = "compute"
    needs = Needs.STRUCTURE
    recorded = ("macs",)

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `macs`."""
        return ("macs",) if spec.macs is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Compare the counts."""
        return Outcome(tuple(check_compute(context.spec_file, context.network.trace)))

    def record(self, context: CheckContext) -> Recording:
        """Record the multiply-adds."""
        return record_structure(context, self.absent(context.spec))


CHECK = ComputeCheck()
