"""A session's measurements of speed, held against floors, a revision, saved runs and other specs."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archcheck.errors import ArchcheckError, BuildError, NotMeasured, SpecError, UsageError
from archcheck.findings import Keys, Mismatch, build_failure
from archcheck.spec.lookup import find_spec
from archcheck.spec.models import Faster
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.throughput.plan import SpeedPlan, resolve_plan
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.regression.interval import Interval, Verdict, change_interval, judge
from archcheck.throughput.regression.paired_benchmark import run_against_reference, run_paired
from archcheck.throughput.regression.saved_runs import VERSION, SavedRun, explain_absence, find_baseline, read_saved
from archcheck.throughput.regression.verdicts import (
    Floor,
    check_faster,
    check_floors,
    check_regression,
    format_factor,
    format_range,
)
from archcheck.throughput.regression.workers import WorkerFailed, WorkerRequest
from archcheck.throughput.regression.worktree import Revision, checked_out
from archcheck.training.options import RunOptions
from archcheck.training.session import claims_of

if TYPE_CHECKING:
    import torch

    from archcheck.throughput.speed_measurement import RoundTimer

VERDICT_TEXTS = {"over": "slower", "under": "not slower", "open": "can't tell"}
TRIES = 3  # before a rate counts as too low: a minimum is meant for the machine, not for its busiest second


@dataclass(frozen=True, slots=True)
class Saved:
    """Where pytest-benchmark keeps its runs, by what name it knows this one, and whether it will keep it."""

    folder: Path | None
    fullname: str
    is_saving: bool


@dataclass(slots=True)
class SpeedResult:
    """What became of one `throughput` section.

    unmeasured: why its regression gate has no verdict. change: of the time of a step; against: what, in short.
    """

    record: SpeedRecord
    conditions: Mapping[str, Any]
    mismatches: list[Mismatch] = field(default_factory=list)
    unmeasured: str = ""
    change: Interval | None = None
    against: str = ""
    notes: list[str] = field(default_factory=list)
    reference: str | None = None
    log_ratios: Sequence[float] = ()
    verdict: str | None = None

    def facts(self) -> dict[str, Any]:
        """What goes into the table that a run ends with, and into JUnit's files."""
        if self.change is None:
            return speed_facts(self.record)
        compared = {"speedup": 1 / self.change.ratio, "against": self.against, "verdict": self.verdict}
        return speed_facts(self.record) | compared

    def extra_info(self) -> dict[str, Any]:
        """What goes into pytest-benchmark's files."""
        return speed_facts(self.record) | {
            "torch": self.conditions["torch"],
            "archcheck": {
                "version": VERSION,
                "fingerprint": dict(self.conditions),
                "reference": self.reference,
                "log_ratios": list(self.log_ratios),
                "verdict": self.verdict,
            },
        }


def speed_facts(record: SpeedRecord) -> dict[str, Any]:
    """A record as plain values."""
    return asdict(record) | {"utilization": record.utilization}


class SpeedSession:
    """Measures specs as a session's options say.

    against: the revision to compare with, checked out when it's first needed; `close` removes it.
    """

    def __init__(self, options: RunOptions, rootdir: Path, against: str | None = None) -> None:
        self._options = options
        self._rootdir = rootdir
        self.against = against
        self._stack = ExitStack()
        self._revision: Revision | ArchcheckError | None = None

    def close(self) -> None:
        """Remove what was checked out."""
        self._stack.close()

    def revision(self, start: Path) -> Revision:
        """The revision to compare with, of the repository around `start` where none was asked for before.

        Raises:
            UsageError: there's none; each time.
        """
        if self._revision is None:
            assert self.against is not None
            try:
                self._stack.enter_context(_ended_by_sigterm())
                self._revision = self._stack.enter_context(checked_out(self.against, start))
            except ArchcheckError as error:
                self._revision = error
        if isinstance(self._revision, ArchcheckError):
            raise UsageError(f"--archcheck-against {self._revision}")
        return self._revision

    def device(self) -> torch.device:
        """Where to measure. Raises NotMeasured where there's no such device."""
        from archcheck.training.devices import choose_device

        return choose_device(self._options.device)

    def plan(self, spec_file: SpecFile) -> SpeedPlan:
        """What to time of a spec. Raises NotMeasured as `device` does."""
        kind = self._options.kind
        if kind in ("quick", "full"):
            return resolve_plan(spec_file.spec, kind)
        return resolve_plan(spec_file.spec, "quick" if self.device().type == "cpu" else "full")

    def figures(self, spec_file: SpecFile, plan: SpeedPlan, time_rounds: RoundTimer) -> SpeedRecord:
        """Time a spec here and now. Raises SpeedRefused where that can't be done."""
        from archcheck.throughput.speed_measurement import measure_speed
        from archcheck.training.components import check_components
        from archcheck.training.failures import RunFailed

        for mismatch in check_components(plan.recipe):
            raise SpeedRefused(mismatch)
        try:
            return measure_speed(spec_file, plan, self.device(), self._rootdir, time_rounds)
        except RunFailed as failed:
            fault = failed.fault
            raise SpeedRefused(Mismatch(plan.place(fault.key), fault.key, fault.message)) from None
        except BuildError as error:
            raise SpeedRefused(build_failure(plan.recipe.args, plan.place("args"), error)) from None

    def conditions(self, plan: SpeedPlan) -> dict[str, Any]:
        """What two runs have in common where their speeds can be compared."""
        from archcheck.throughput.machine import describe_device
        from archcheck.throughput.speed_measurement import num_timing_threads

        device, recipe = self.device(), plan.recipe
        ways = {"memory_format": recipe.memory_format, "compile": recipe.compile}
        return describe_device(device) | {"threads": num_timing_threads(device)} | plan.conditions() | ways

    def request(self, spec_file: SpecFile, plan: SpeedPlan, *, tree: Path | None = None) -> WorkerRequest:
        """A process that measures a spec as it is here."""
        from archcheck.throughput.speed_measurement import num_timing_threads

        device = self.device()
        return WorkerRequest(
            spec=spec_file.path.resolve(), shown=spec_file.document.path, rootdir=self._rootdir,
            kind=plan.recipe.kind, device=str(device), num_threads=num_timing_threads(device), tree=tree,
        )  # fmt: skip


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Ends as Ctrl-C does where it is told to terminate, as CI does that has lost patience: by clearing up."""
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


class SpeedRefused(Exception):  # noqa: N818 - a verdict, not a fault
    """Nothing could be timed: what is wrong with the spec or its network."""

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(mismatch.problem)
        self.mismatch = mismatch


# ------------------------------------------------------------------------------------------- throughput


def measure_throughput(
    speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, time_rounds: RoundTimer, saved: Saved
) -> SpeedResult:
    """Time a spec and hold it against all that there is to hold it against.

    Raises:
        SpeedRefused: nothing could be timed.
        NotMeasured: there's no such device.
        UsageError: the revision to compare with isn't there.
    """
    revision = (
        speed.revision(spec_file.path.resolve().parent) if speed.against else None
    )  # before minutes are spent on the rest
    result = SpeedResult(speed.figures(spec_file, plan, time_rounds), speed.conditions(plan))
    has_floor = _hold_against_floors(speed, spec_file, plan, result)
    if result.mismatches:
        return result
    throughput = spec_file.spec.throughput
    try:
        if revision is not None:
            _hold_against_revision(speed, spec_file, plan, revision, result)
        elif not has_floor or (throughput is not None and throughput.max_regression is not None):
            _hold_against_saved(speed, spec_file, plan, saved, result)
        if saved.is_saving and result.reference is None and not result.mismatches:
            _measure_for_later(speed, spec_file, plan, result)
    except WorkerFailed as failed:
        _refuse(failed)
    return result


def _measure_for_later(speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, result: SpeedResult) -> None:
    """Give a run that is going to be saved what later ones are measured by."""
    beside = run_against_reference(speed.request(spec_file, plan), None)
    result.reference, result.log_ratios = beside.reference, beside.log_ratios
    if beside.problem:
        result.notes.append(f"saved, but nothing to measure later runs by: {beside.problem}")


def _refuse(failed: WorkerFailed) -> NoReturn:
    """A process of this tree couldn't measure what has just been measured here."""
    keys = failed.keys or ("throughput",)
    raise SpeedRefused(Mismatch(keys, str(keys[-1]), str(failed))) from None


def _hold_against_floors(speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, result: SpeedResult) -> bool:
    """Whether there is a minimum for this device; what falls short of it is measured again first."""
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
    result.against = revision.label
    _settle(result, plan, comparison.interval, comparison.verdict, revision.label, again)


def _request_there(here: WorkerRequest, plan: SpeedPlan, revision: Revision) -> WorkerRequest | str:
    """The same item in the revision; or why there's none."""
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
    """Where the other side runs: files that a network opens by a relative path are those of its own tree."""
    folder = revision.path_in_checkout(Path.cwd())
    return folder if folder is not None and folder.is_dir() else revision.checkout


def _command(spec_file: SpecFile) -> str:
    return f"pytest --archcheck {shlex.quote(spec_file.document.path)} -k throughput"


def _settle(
    result: SpeedResult,
    plan: SpeedPlan,
    interval: Interval,
    verdict: Verdict,
    than: str,
    again: str,
    if_faster: str = "",
) -> None:
    """Turn a verdict into what the user reads; `if_faster` is what to do about a faster one."""
    result.change, result.verdict = interval, VERDICT_TEXTS[verdict]
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
    speed: SpeedSession, spec_file: SpecFile, plan: SpeedPlan, saved: Saved, result: SpeedResult
) -> None:
    runs, problems = _saved_runs(saved)
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
    result.against = Path(baseline.file).name.split("_")[0]
    advice = "" if saved.is_saving else "; consider saving it (--benchmark-autosave)"
    _settle(result, plan, interval, judge(interval, limit), _describe(baseline), _command(spec_file), advice)


def _saved_runs(saved: Saved) -> tuple[list[SavedRun], list[str]]:
    if saved.folder is None:
        return [], ["pytest-benchmark's storage is no folder"]
    return read_saved(saved.folder, saved.fullname.__eq__)


def _describe(run: SavedRun) -> str:
    commit = "" if run.commit == "-" else f" of {run.commit}"
    return f"the saved run{commit} ({run.file})"


# ------------------------------------------------------------------------------------------- claims


def faster_claims_of(spec_file: SpecFile) -> list[tuple[Keys, Faster]]:
    """The `faster_than` claims of a spec with their places."""
    return claims_of(spec_file, "faster_than", Faster)


def measure_faster_claim(speed: SpeedSession, spec_file: SpecFile, keys: Keys, claim: Faster) -> list[Mismatch]:
    """Let two specs take turns, each at its own batch size, and compare their examples per second.

    Raises:
        NotMeasured: there's no such device, or the difference is too small to tell.
    """
    try:
        other = find_spec(spec_file, claim.spec)
    except (SpecError, UsageError) as error:
        return [Mismatch((*keys, "spec"), "faster_than", str(error).splitlines()[0])]
    theirs, ours = (speed.request(one, speed.plan(one)) for one in (other, spec_file))
    try:
        comparison = run_paired(theirs, ours, claim.by)
    except WorkerFailed as failed:
        return [Mismatch(keys, "faster_than", f"{failed.shown} can't be measured: {failed}")]
    if comparison.verdict == "open":
        raise NotMeasured(f"can't tell: {format_factor(comparison.interval)}, and {claim.by:g}x is claimed")
    return check_faster(keys, claim, comparison)
