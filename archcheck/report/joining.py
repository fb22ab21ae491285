"""Records put together: what the checks of a spec found one by one, and the runs of several shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from archcheck.report.run_record import (
    CheckOutcome,
    CheckResult,
    RunRecord,
    SpecResult,
    Verdict,
    count_outcomes,
    failing_first,
)

_GRAVEST: tuple[Verdict, ...] = ("error", "interrupted", "failed", "passed", "skipped")
# Of two runs of a check, one that failed isn't hidden by one that passed, nor one that measured by one that didn't.
_TELLING: tuple[CheckOutcome, ...] = ("error", "failed", "updated", "passed", "unchanged", "skipped")


def _later(_: CheckResult, later: CheckResult) -> CheckResult:
    return later


def _more_telling(a: CheckResult, b: CheckResult) -> CheckResult:
    return min(a, b, key=lambda one: _TELLING.index(one.outcome))


def join_specs(
    parts: Iterable[SpecResult],
    order: Sequence[str] = (),
    choose: Callable[[CheckResult, CheckResult], CheckResult] = _later,
) -> tuple[SpecResult, ...]:
    """Return what is known of each spec, of which several parts may be given; the checks in a given order.

    `choose` chooses between two results of one check: the later one unless told otherwise, as after a rerun.
    """
    found: dict[str, list[SpecResult]] = {}
    for part in parts:
        found.setdefault(part.spec, []).append(part)
    return failing_first([_joined(some, order, choose) for some in found.values()])


def _joined(
    parts: Sequence[SpecResult], order: Sequence[str], choose: Callable[[CheckResult, CheckResult], CheckResult]
) -> SpecResult:
    checks: dict[str, CheckResult] = {}
    for check in (check for part in parts for check in part.checks):
        known = checks.get(check.check)
        checks[check.check] = check if known is None else choose(known, check)
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(checks.values(), key=lambda check: places.get(check.check, len(places)))
    first = parts[0]
    for part in parts[1:]:
        first = replace(
            first,
            name=first.name or part.name,
            build=first.build or part.build,
            source=first.source or part.source,
            parameters=part.parameters if first.parameters is None else first.parameters,
            macs=part.macs if first.macs is None else first.macs,
            layers=first.layers or part.layers,
            memory=part.memory or first.memory,
            output_sources=first.output_sources or part.output_sources,
            training=part.training or first.training,
            speed=part.speed or first.speed,
            claims=part.claims or first.claims,
            notes=tuple(dict.fromkeys([*first.notes, *part.notes])),
        )
    return replace(first, checks=tuple(ordered), first_difference=_earliest(first, parts))


def _earliest(whole: SpecResult, parts: Sequence[SpecResult]) -> str | None:
    """Return the first layer in the order of execution of those that checks found to be the first that differs."""
    found = [part.first_difference for part in parts if part.first_difference is not None]
    return next((layer.name for layer in whole.layers if layer.name in found), next(iter(found), None))


def merge_runs(records: Sequence[RunRecord], order: Sequence[str] = ()) -> RunRecord:
    """Return one record of several shards, as if it had been one run; its verdict is the gravest of theirs.

    Where a check ran in several of them, a failure counts.
    """
    specs = join_specs((spec for record in records for spec in record.specs), order, _more_telling)
    verdicts = {record.verdict for record in records}
    runs = tuple(run for record in records for run in record.runs)
    return RunRecord(
        verdict=next(one for one in _GRAVEST if one in verdicts),
        totals=count_outcomes(specs, runs),
        runs=runs,
        specs=specs,
    )
