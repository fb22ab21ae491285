"""The gate of a `throughput` section: a speed measured and held against floors, a revision, or saved runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archcheck.errors import SpecError
from archcheck.findings import Mismatch
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.throughput.plan import SpeedPlan
from archcheck.throughput.records import SavedSpeed, SpeedComparison, SpeedFigures, SpeedRecord
from archcheck.throughput.regression.interval import Interval, Verdict, change_interval, judge
from archcheck.throughput.regression.paired_benchmark import run_against_reference, run_paired
from archcheck.throughput.regression.saved_runs import VERSION, SavedRun, explain_absence, find_baseline, read_saved
from archcheck.throughput.regression.verdicts import (
    Floor,
    check_floors,
    check_regression,
    format_range,
)
from archcheck.throughput.regression.workers import WorkerFailed, WorkerRequest
from archcheck.throughput.regression.worktree import Revision
from archcheck.throughput.session import SavedRuns, SpeedRefused, SpeedSession, Stopwatch

if TYPE_CHECKING:
    pass

VERDICT_TEXTS = {"over": "slower", "under": "not slower", "open": "can't tell"}
SHOWN_SHARE = 0.2  # of the usual time, for figures that the table shows and nothing is held against
TRIES = 3  # before a rate counts as too low: a minimum is meant for the machine, not for its busiest second


@dataclass(slots=True)
class SpeedResult:
    """The result of one `throughput` section; filled while it is held against one thing after the other.

    conditions: what two runs must have in common to be compared. unmeasured: why the regression gate has no verdict.
    reference, log_ratios: what a later run is compared by.
    """

    record: SpeedRecord
    conditions: Mapping[str, Any]
    mismatches: list[Mismatch] = field(default_factory=list)
    unmeasured: str = ""
    comparison: SpeedComparison | None = None
    notes: list[str] = field(default_factory=list)
    history: Sequence[SavedSpeed] = ()
    reference: str | None = None
    log_ratios: Sequence[float] = ()

    @property
    def figures(self) -> SpeedFigures:
        """Return the speed, how it compares, and how fast it was before."""
        return SpeedFigures(self.record, self.comparison, tuple(self.history))

    def extra_info(self) -> dict[str, Any]:
        """Return what goes into pytest-benchmark's files."""
        return SpeedFigures(self.record).figures() | {
            "torch": self.conditions["torch"],
            "archcheck": {
                "version": VERSION,
                "fingerprint": dict(self.conditions),
                "reference": self.reference,
                "log_ratios": list(self.log_ratios),
                "verdict": self.comparison.verdict if self.comparison is not None else None,
            },
        }


def measure_throughput(speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, stopwatch: Stopwatch) -> SpeedResult:
    """Time a spec and hold it against all that there is to hold it against.

    Raises:
        SpeedRefused: nothing could be timed.
        NotMeasured: there's no such device.
        UsageError: the revision to compare with isn't there.
    """
    revision = (
        speed.revision(spec_file.path.resolve().parent) if speed.against else None
    )  # before minutes are spent on the rest
    figures = speed.figures(spec_file, plan, stopwatch.time_rounds, _share(spec_file, stopwatch.saved_runs))
    result = SpeedResult(figures, speed.conditions(plan))
    saved = _saved_runs(stopwatch.saved_runs)
    result.history = [
        SavedSpeed(run.date, run.commit, run.examples_per_sec, run.verdict)
        for run in saved[0]
        if run.conditions == result.conditions
    ]
    has_floor = _hold_against_floors(speed, spec_file, plan, result)
    if result.mismatches:
        return result
    throughput = spec_file.spec.throughput
    try:
        if revision is not None:
            _hold_against_revision(speed, spec_file, plan, revision, result)
        elif not has_floor or (throughput is not None and throughput.max_regression is not None):
            is_saving = stopwatch.saved_runs.is_saving
            _hold_against_saved(speed, spec_file, plan, saved, result, is_saving=is_saving)
        if stopwatch.saved_runs.is_saving and result.reference is None and not result.mismatches:
            _measure_for_later(speed, spec_file, plan, result)
    except WorkerFailed as failed:
        _refuse(failed)
    return result


def _share(spec_file: SpecFile, runs: SavedRuns) -> float:
    """Return how much of the usual time to spend on figures: little where they are neither held nor kept."""
    throughput = spec_file.spec.throughput
    has_floor = throughput is not None and (throughput.min_examples_per_sec or throughput.min_utilization)
    return 1.0 if has_floor or runs.is_saving or runs.is_reported else SHOWN_SHARE


def _measure_for_later(speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, result: SpeedResult) -> None:
    """Give a run that is going to be saved what later ones are measured by."""
    beside = run_against_reference(speed.request(spec_file, plan), None)
    result.reference, result.log_ratios = beside.reference, beside.log_ratios
    if beside.problem:
        result.notes.append(f"saved, but nothing to measure later runs by: {beside.problem}")


def _refuse(failed: WorkerFailed) -> NoReturn:
    """Turn the failure of a process of this tree, which measures what was just measured here, into a mismatch."""
    keys = failed.keys or ("throughput",)
    raise SpeedRefused(Mismatch(keys, str(keys[-1]), str(failed))) from None


def _hold_against_floors(speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, result: SpeedResult) -> bool:
    """Compare with the minima for this device, measuring anew what falls short; return whether there are any."""
    rate, utilization = (_floor(speed, spec_file, key, result) for key in ("min_examples_per_sec", "min_utilization"))
    if utilization is not None and not result.record.utilization:
        reason = "nobody knows the network's multiply-adds, which `min_utilization` counts"
        result.mismatches = [Mismatch(utilization.keys, "min_utilization", reason)]
        return True
    result.mismatches = check_floors(result.record, rate, utilization)
    for _ in range(TRIES - 1):
        if not result.mismatches:
            break
        again = speed.figures(spec_file, plan, _plain_rounds)
        if again.examples_per_sec > result.record.examples_per_sec:
            result.record = again
        result.mismatches = check_floors(result.record, rate, utilization)
    return rate is not None or utilization is not None


def _plain_rounds(function: Callable[[], object], number: int) -> list[float]:
    from archcheck.throughput.speed_measurement import time_calls

    return time_calls(function, number)


def _floor(speed: SpeedSession, spec_file: SpecFile, key: str, result: SpeedResult) -> Floor | None:
    from archcheck.throughput.machine import find_device_key

    value = getattr(spec_file.spec.throughput, key, None)
    if not isinstance(value, Mapping):
        return None if value is None else Floor(("throughput", key), value)
    device = find_device_key(value, speed.device())
    if device is None:
        result.notes.append(f"`{key}` says nothing of {result.record.device}")
        return None
    return Floor(("throughput", key, device), value[device])


# ------------------------------------------------------------------------------------------- a revision


def _hold_against_revision(
    speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, revision: Revision, result: SpeedResult
) -> None:
    here = speed.request(spec_file, plan, tree=revision.working_tree)
    there = _request_there(here, plan, revision)
    if isinstance(there, str):
        result.unmeasured = there
        return
    try:
        comparison = run_paired(here, there, 1 + plan.max_regression)
    except WorkerFailed as failed:
        if failed.shown != there.shown and failed.kind != "WrongCode":
            raise
        result.unmeasured = f"{revision.label} can't be measured: {failed}"
        return
    again = f"{_command(spec_file)} --archcheck-against {shlex.quote(revision.name)}"
    _settle(result, plan, comparison.interval, comparison.verdict, revision.label, revision.label, again)


def _request_there(here: WorkerRequest, plan: SpeedPlan, revision: Revision) -> WorkerRequest | str:
    """Return the request for the same item in the revision, or why there is none."""
    path = revision.path_in_checkout(here.spec)
    if path is None:
        return f"the spec isn't in the repository {revision.working_tree}"
    if not path.is_file():
        return f"new since {revision.label}, which has no {here.shown}"
    shown = f"{here.shown} at {revision.label}"
    try:
        read_spec(path, shown)
    except SpecError as error:
        return f"it can't be read there: {error.problems[0]}"
    rootdir = revision.path_in_checkout(here.rootdir) if here.rootdir is not None else None
    return replace(
        here, spec=path, shown=shown, rootdir=rootdir, work=plan.workload_keys(), step=plan.describe_step(),
        cwd=_folder_there(revision), sys_path=revision.sys_path_in_checkout(sys.path),
        tree=revision.checkout, foreign=revision.working_tree,
    )  # fmt: skip


def _folder_there(revision: Revision) -> Path:
    """Return where the other side runs: a network that opens files by relative paths opens those of its own tree."""
    folder = revision.path_in_checkout(Path.cwd())
    return folder if folder is not None and folder.is_dir() else revision.checkout


def _command(spec_file: SpecFile) -> str:
    return f"pytest --archcheck {shlex.quote(spec_file.document.path)} -k throughput"


def _settle(
    result: SpeedResult,
    plan: SpeedPlan,
    interval: Interval,
    verdict: Verdict,
    short: str,
    than: str,
    again: str,
    if_faster: str = "",
) -> None:
    """Turn a verdict into what the user reads: `short` in the table, `than` in messages; `if_faster` is an advice."""
    result.comparison = SpeedComparison(
        1 / interval.ratio, short, VERDICT_TEXTS[verdict],
        speedup_low=1 / interval.high, speedup_high=1 / interval.low, least_speedup=1 / (1 + plan.max_regression),
    )  # fmt: skip
    keys = plan.place("max_regression") if "max_regression" in plan.own_keys else ("throughput",)
    if verdict == "over":
        result.mismatches = check_regression(interval, plan.max_regression * 100, result.record, than, again, keys)
    elif verdict == "open":
        bound = f"{plan.max_regression * 100:.3g} %"
        result.unmeasured = (
            f"can't tell whether it is slower than {than} by more than {bound}: {format_range(interval)}; "
            "a quieter machine, or a wider max_regression, makes it clear"
        )
    elif interval.high < 1 / (1 + plan.max_regression):
        result.notes.append(f"faster than {than}: {1 / interval.ratio:.2f}x{if_faster}")


# ------------------------------------------------------------------------------------------- saved runs


def _hold_against_saved(
    speed: SpeedSession,
    spec_file: SpecFile,
    plan: SpeedPlan,
    saved: tuple[Sequence[SavedRun], Sequence[str]],
    result: SpeedResult,
    *,
    is_saving: bool,
) -> None:
    """Compare with the last of the saved runs that is a measure; `saved` has them and what was wrong with others."""
    runs, problems = saved
    baseline = find_baseline(runs, result.conditions)
    if baseline is None:
        result.unmeasured = "; ".join([explain_absence(runs, result.conditions), *problems])
        return
    result.notes += problems
    limit = 1 + plan.max_regression
    beside = run_against_reference(speed.request(spec_file, plan), baseline.reference, baseline.log_ratios, limit)
    if not beside.log_ratios:
        result.unmeasured = f"{baseline.file} can't be compared with: {beside.problem}"
        return
    result.reference, result.log_ratios = beside.reference, beside.log_ratios
    interval = change_interval(beside.log_ratios, baseline.log_ratios)
    advice = "" if is_saving else "; consider saving it (--benchmark-autosave)"
    short = Path(baseline.file).name.split("_")[0]
    verdict = judge(interval, limit)
    _settle(result, plan, interval, verdict, short, _describe(baseline), _command(spec_file), advice)


def _saved_runs(saved: SavedRuns) -> tuple[list[SavedRun], list[str]]:
    if saved.folder is None:
        return [], ["pytest-benchmark's storage is no folder"]
    return read_saved(saved.folder, saved.fullname.__eq__)


def _describe(run: SavedRun) -> str:
    commit = "" if run.commit == "-" else f" of {run.commit}"
    return f"the saved run{commit} ({run.file})"
