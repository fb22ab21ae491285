"""Records of runs, written by hand."""

from __future__ import annotations

from archcheck.report.run_record import (
    CheckOutcome,
    CheckResult,
    Environment,
    ExcerptLine,
    Failure,
    Run,
    RunRecord,
    SpecResult,
    count_outcomes,
    failing_first,
)

FAILURE = Failure(
    file="specs/net.arch.yaml",
    line=5,
    problem="output shape differs",
    subject="pool",
    expected="[B, 6, 12, 12]",
    actual="[B, 6, 14, 14]",
    cause="a stride",
    notes=(("at", "B=2"),),
    excerpt=(ExcerptLine(4, "  conv: [B, 6, 28, 28]"), ExcerptLine(5, "  pool: [B, 6, 12, 12]")),
)
ENVIRONMENT = Environment("0.1.0", "3.11.7", "Linux", {"torch": "2.14.1"}, device="cpu", commit="a" * 40)


def spec(name: str = "specs/net.arch.yaml", **outcomes: CheckOutcome) -> SpecResult:
    """Return a spec whose checks came out as given."""
    checks = tuple(
        CheckResult(check, outcome, 4, 0.5, failures=(FAILURE,) if outcome == "failed" else ())
        for check, outcome in outcomes.items()
    )
    return SpecResult(name, name="net", build="nets:net", parameters=11_926, macs=129_360, checks=checks)


def run_of(*specs: SpecResult, exit_status: int = 1) -> RunRecord:
    """Return the record of a run that verified some specs."""
    ordered = failing_first(list(specs))
    run = Run("pytest --archcheck", "2026-01-02T03:04:05Z", 1.5, exit_status, ENVIRONMENT)
    return RunRecord(
        verdict="failed" if exit_status else "passed",
        totals=count_outcomes(ordered, (run,)),
        runs=(run,),
        specs=ordered,
    )
