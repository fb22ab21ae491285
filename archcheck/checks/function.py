"""The check `function`: the network still computes the function that was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archcheck.checks.check import Check, CheckContext, Needs, Recording
from archcheck.checks.network_under_test import NetworkUnderTest
from archcheck.checks.outcome import Outcome
from archcheck.errors import BuildError, NotMeasured
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.function.comparison import FunctionDifference, compare_function
from archcheck.recording.spec_writer import format_function
from archcheck.spec.models import Function, Health, Spec
from archcheck.spec.spec_file import SpecFile
from archcheck.structure.crashes import describe_crash

if TYPE_CHECKING:
    from archcheck.function.measure import RecordedSection

CAUSE_SEC = 3.0  # that may be spent on why a function differs


class FunctionCheck(Check):
    """Compare what the network computes with what was recorded, and name the first layer that differs."""

    name = "function"
    needs = Needs.VALUES
    recorded = ("function",)

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `function`."""
        return ("function",) if isinstance(spec.function, Function) else None

    def run(self, context: CheckContext) -> Outcome:
        """Run the network with fixed weights and compare.

        Raises:
            NotMeasured: it can't be run with fixed weights.
        """
        network = context.network
        try:
            _, record = network.function_of(context.spec_file)
        except BuildError as error:
            return Outcome((build_failure(context.spec.args, ("args",), error),))
        difference = compare_function(context.spec_file, record, network.trace, is_live=network.is_live)
        return Outcome(() if difference is None else (_with_cause(difference, context),))

    def record(self, context: CheckContext) -> Recording:
        """Record the function.

        Raises:
            NotMeasured: the network can't be run such that it gives the same numbers twice.
        """
        if not self.absent(context.spec):
            return Recording()
        recorded = record_function(context.spec_file, context.network)
        return Recording({"function": "\n" + format_function(recorded.section)}, recorded.notes)


def record_function(
    spec_file: SpecFile, network: NetworkUnderTest, depth: int | None = None, *, with_health: bool = False
) -> RecordedSection:
    """Record the function of a network as it is, with the layers of the first `depth` levels, and its health if asked.

    Raises:
        NotMeasured: the network can't be run such that it gives the same numbers twice.
        BuildError: it can't be built for real.
    """
    from archcheck.function.measure import record_section

    died = network.trace.died
    if died is not None:
        raise NotMeasured(f"no function can be recorded: the forward stopped at {describe_crash(died[1])}")
    return record_section(spec_file, network.make, network.trace, depth, with_health=with_health)


def _with_cause(difference: FunctionDifference, context: CheckContext) -> Mismatch:
    """Return the mismatch with the likely cause as a note, found by undoing one operation after the other."""
    from archcheck.function.diagnosis.likely_cause import DRAWS, likely_cause

    mismatch = difference.mismatch
    if difference.call is None:
        return _with_values(mismatch, context)
    config, _ = context.network.function_of(context.spec_file)
    cause = likely_cause(context.network.make, config, difference.call, CAUSE_SEC)
    health = context.spec.health
    if cause == DRAWS and isinstance(health, Health) and health.allow_random:
        cause = None  # it drew when it was recorded, too
    return mismatch if cause is None else replace(mismatch, notes=(*mismatch.notes, ("cause", cause)))


def _with_values(mismatch: Mismatch, context: CheckContext) -> Mismatch:
    """Add to a run that died with what values of an input it doesn't."""
    _, record = context.network.function_of(context.spec_file)
    hint = context.network.domain_hint(context.spec_file, record.crash.error) if record.crash is not None else None
    return mismatch if hint is None else replace(mismatch, notes=(*mismatch.notes, ("values", hint)))


CHECK = FunctionCheck()
