"""The check `throughput`: examples per second, which have not regressed."""

from __future__ import annotations

from archcheck.checks.check import Check, CheckContext, Needs
from archcheck.checks.outcome import Outcome, Unmeasured
from archcheck.errors import NotMeasured
from archcheck.findings import Keys
from archcheck.spec.models import Spec
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.gate import SpeedResult, measure_throughput
from archcheck.throughput.session import SpeedRefused


class ThroughputCheck(Check):
    """Time a step, and hold it against floors, a revision or a saved run."""

    name = "throughput"
    needs = Needs.QUIET_PROCESSOR

    def place(self, spec: Spec) -> Keys | None:
        """Return the place of `throughput`."""
        return ("throughput",) if spec.throughput is not None else None

    def run(self, context: CheckContext) -> Outcome:
        """Time the network.

        Raises:
            NotMeasured: nothing can be timed here.
            UsageError: the revision to compare with isn't there.
        """
        if context.stopwatch.is_off:
            raise NotMeasured(context.stopwatch.is_off)
        try:
            result = self._measure(context)
        except SpeedRefused as refused:
            return Outcome((refused.mismatch,))
        result.record = self._with_bound(context, result.record)
        context.stopwatch.attach(result.extra_info())
        unmeasured = (Unmeasured(result.unmeasured),) if result.unmeasured else ()
        return Outcome(tuple(result.mismatches), unmeasured, tuple(result.notes), speed=result.figures)

    def _with_bound(self, context: CheckContext, record: SpeedRecord) -> SpeedRecord:
        from archcheck.cost.bound import with_bound

        speed, spec_file = context.speed, context.spec_file
        return with_bound(record, spec_file, speed.plan(spec_file), speed.device(), context.rootdir)

    def _measure(self, context: CheckContext) -> SpeedResult:
        spec_file, speed = context.spec_file, context.speed
        with context.stopwatch.measuring(spec_file.name):
            return measure_throughput(speed, spec_file, speed.plan(spec_file), context.stopwatch)


CHECK = ThroughputCheck()
