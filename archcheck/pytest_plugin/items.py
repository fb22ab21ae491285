"""The pytest nodes: a spec file collects one item for each thing that it promises."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from archcheck.errors import ArchcheckError, NotMeasured, Problem, SourceLoc, SpecError, UsageError
from archcheck.findings import Edit, Keys, Mismatch
from archcheck.report.mismatches import format_mismatches, headline
from archcheck.spec.models import Faster
from archcheck.spec.spec_file import SpecFile, read_spec, spec_name
from archcheck.structure.crashes import crash_mismatch
from archcheck.text.paths import path_from
from archcheck.throughput.session import (
    Saved,
    SpeedRefused,
    SpeedResult,
    SpeedSession,
    faster_claims_of,
    measure_faster_claim,
    measure_throughput,
)
from archcheck.training.records import TrainingRecord
from archcheck.training.session import TrainingSession, better_claims_of, measure_accuracy, measure_claim
from archcheck.verification import Measured, measure, recorded_function, run_check, sections_present

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

# Items about sections of their own: item name -> key of the spec.
SECTIONS = {
    "accuracy": "training",
    "throughput": "throughput",
    "claims": "claims",
}
# Items for which the network is built and run, but neither trained nor timed.
BUILT = ("shapes", "parameters", "compute", "health", "function", "equivalence")
# Sections that an update can add where they are absent: item name -> keys of the spec.
RECORDED = {
    "shapes": ("layers", "output"),
    "parameters": ("parameters",),
    "compute": ("macs",),
    "function": ("function",),
}


class CheckFailure(Exception):  # noqa: N818 - a verdict, not a fault
    """What a spec promises isn't so: `summary` in one line, at `loc`; the message tells everything."""

    def __init__(self, text: str, loc: SourceLoc, summary: str) -> None:
        super().__init__(text)
        self.loc = loc
        self.summary = summary


class ArchFile(pytest.Module):
    """One spec file. A broken one becomes a single failing `spec` item, so that the others still run."""

    # No Python module stands behind it, as with pytest's own doctest text files; being a Module makes a user's
    # module-scoped fixtures work.
    obj = None
    _measured: Measured | None = None

    def collect(self) -> Iterator[CheckItem]:
        """The items of the file, in the order of DESIGN's table: the spec itself first."""
        shown = path_from(self.path, self.config.invocation_params.dir)
        try:
            spec_file = read_spec(self.path, shown)
        except SpecError as error:
            problems = error.problems
            yield self._item("spec", problems[0].loc, lambda _: raise_problems(problems))
            return
        yield from self._checks(spec_file)
        spec_file.document.release()  # a thousand specs may be waiting for their turn

    def _checks(self, spec_file: SpecFile) -> Iterator[CheckItem]:
        yield self._check(spec_file, "spec", ("build",))
        sections = sections_present(spec_file.spec)
        update = self.config.getoption("archcheck_update")
        for check in BUILT:
            if check in sections or (update in ("new", "all") and _may_be_added(spec_file, check)):
                yield self._check(spec_file, check, sections.get(check, ()))
        for check, section in SECTIONS.items():
            if getattr(spec_file.spec, section) not in (None, "off"):
                yield self._section(spec_file, check, section)

    def _section(self, spec_file: SpecFile, check: str, section: str) -> CheckItem:
        loc = spec_file.locate((section,), key=True)
        runners = {"accuracy": _run_accuracy, "claims": _run_claims, "throughput": _run_throughput}
        run = runners[check]
        return self._item(check, loc, lambda item: run(item, spec_file, self.measured(spec_file)), spec_file)

    def _check(self, spec_file: SpecFile, check: str, section: Keys) -> CheckItem:
        loc = spec_file.locate(section, key=True)
        return self._item(check, loc, lambda item: _run(item, spec_file, self.measured(spec_file)), spec_file)

    def _item(
        self, check: str, loc: SourceLoc, run: Callable[[CheckItem], None], spec_file: SpecFile | None = None
    ) -> CheckItem:
        def archcheck_item() -> None:
            run(item)

        def archcheck_timed_item(benchmark: Any) -> None:  # noqa: ARG001 - taken from the item's `funcargs`
            run(item)

        is_timed = check == "throughput" and _can_time(self.config)
        function = archcheck_timed_item if is_timed else archcheck_item
        item: CheckItem = CheckItem.from_parent(self, name=check, callobj=function)
        item.loc = loc
        item.facts = {"spec": loc.path, "check": check}
        if spec_file is not None:
            item.facts["build"] = spec_file.spec.build
        item.add_marker(f"archcheck_{check}")
        return item

    def measured(self, spec_file: SpecFile) -> Measured:
        """The network built and traced, once for all items of the file."""
        if self._measured is None:
            self._measured = measure(spec_file, self.config.rootpath)
            device = self.config.getoption("archcheck_device")
            # What a network computes is the same everywhere: it runs on a GPU only where that is asked for by name.
            self._measured.device = device if device.startswith("cuda") else "cpu"
        return self._measured

    def teardown(self) -> None:
        """Let go of the network when the last item of the file is through."""
        self._measured = None


class CheckItem(pytest.Function):
    """One check of one spec; an ordinary test function to pytest, so that fixtures, markers and plugins work.

    `loc` is the line that the item speaks of, `facts` what its row of the final table is made from, `accepted` the
    edits by which an update accepts what was measured.
    """

    loc: SourceLoc
    facts: dict[str, Any]
    accepted: list[Edit]
    additions: dict[str, str]

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the item stands: the line of the spec (from 0, as pytest counts), and the title of its failure."""
        return self.path, self.loc.line - 1, f"{spec_name(self.path)}: {self.name}"

    # As in pytest's own Function, which leaves out an argument of Node's method too.
    def repr_failure(  # type: ignore[override]
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str | TerminalRepr:
        """A verdict as its own text, without a traceback; anything else as pytest shows it."""
        error = excinfo.value
        if not isinstance(error, CheckFailure):
            return super().repr_failure(excinfo)
        self.loc = error.loc
        text = excinfo.getrepr(style="value")
        crash = text.reprcrash
        if crash is not None:
            crash.path, crash.lineno, crash.message = error.loc.path, error.loc.line, error.summary
        return text


def raise_problems(problems: Sequence[Problem]) -> None:
    """Fail with everything that is wrong with a spec file."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise CheckFailure("\n".join(str(problem) for problem in problems), first.loc, f"{first}{more}")


def _may_be_added(spec_file: SpecFile, check: str) -> bool:
    return any(getattr(spec_file.spec, key) != "off" for key in RECORDED.get(check, ()))


RUNS_KEY = pytest.StashKey["TrainingSession"]()
SPEED_KEY = pytest.StashKey[SpeedSession]()


def runs_of(config: pytest.Config) -> TrainingSession:
    """The training runs of this session."""
    return config.stash[RUNS_KEY]


def not_measured(item: CheckItem, loc: SourceLoc, reason: str) -> None:
    """A gate that did not measure is never green: skipped with the reason, failed where that is asked for."""
    if item.config.getoption("archcheck_strict"):
        raise CheckFailure(f"{loc}: not measured: {reason}", loc, f"{loc}: not measured: {reason}") from None
    pytest.skip(reason)


def _run_accuracy(item: CheckItem, spec_file: SpecFile, measured: Measured) -> None:
    """Train by the spec's recipe, unless the network can't be built at all."""
    mismatches = [measured.failure] if measured.failure is not None else []
    with _told_in_place(item, spec_file, ("training",)):
        if not mismatches:
            record, mismatches = measure_accuracy(runs_of(item.config), spec_file)
            if record is not None:
                _note_run(item, record)
    if mismatches:
        _fail(item, spec_file, measured, mismatches)


def _run_claims(item: CheckItem, spec_file: SpecFile, measured: Measured) -> None:
    """Every claim that can be verified, then a word about those that can't."""
    mismatches: list[Mismatch] = [measured.failure] if measured.failure is not None else []
    skipped: list[tuple[Keys, str]] = []
    for keys, label, verify in _claims(item, spec_file) if not mismatches else []:
        with _told_in_place(item, spec_file, keys):
            try:
                mismatches += verify()
            except NotMeasured as error:
                skipped.append((keys, f"{label}: {error}"))
    if mismatches:
        _fail(item, spec_file, measured, mismatches)
    if skipped:
        item.loc = spec_file.locate(skipped[0][0], key=True)
        not_measured(item, item.loc, "; ".join(reason for _, reason in skipped))


def _claims(item: CheckItem, spec_file: SpecFile) -> Iterator[tuple[Keys, str, Callable[[], list[Mismatch]]]]:
    """Each claim's place, what it claims, and what verifies it."""
    for keys, better in better_claims_of(spec_file):
        verify = partial(measure_claim, runs_of(item.config), spec_file, keys, better)
        yield keys, f"better than {better.spec}", verify
    for keys, faster in faster_claims_of(spec_file):
        yield keys, f"faster than {faster.spec}", partial(_verify_faster, item, spec_file, keys, faster)


def _verify_faster(item: CheckItem, spec_file: SpecFile, keys: Keys, claim: Faster) -> list[Mismatch]:
    reason = _side_by_side(item.config)
    if reason:
        raise NotMeasured(reason)
    return measure_faster_claim(item.config.stash[SPEED_KEY], spec_file, keys, claim)


# ------------------------------------------------------------------------------------------- throughput


def _run_throughput(item: CheckItem, spec_file: SpecFile, measured: Measured) -> None:
    """Time a step, and hold it against what there is to hold it against."""
    if measured.failure is not None:
        _fail(item, spec_file, measured, [measured.failure])
    reason = _untimeable(item)
    with _told_in_place(item, spec_file, ("throughput",)):
        if reason:
            raise NotMeasured(reason)
        result = _measured_speed(item, spec_file)
    if isinstance(result, Mismatch):
        _fail(item, spec_file, measured, [result])
    item.facts["throughput"] = result.facts()
    item.facts["note"] = "; ".join(result.notes)
    item.user_properties += [
        (f"archcheck_{key}", value) for key, value in item.facts["throughput"].items() if value is not None
    ]
    _benchmark_of(item).extra_info.update(result.extra_info())
    if result.mismatches:
        _fail(item, spec_file, measured, result.mismatches)
    if result.unmeasured:
        not_measured(item, item.loc, result.unmeasured)


def _measured_speed(item: CheckItem, spec_file: SpecFile) -> SpeedResult | Mismatch:
    """What became of it, or why nothing could be timed."""
    speed = item.config.stash[SPEED_KEY]
    benchmark = _benchmark_of(item)
    benchmark.name, benchmark.group = spec_file.name, "archcheck throughput"
    session: Any = item.config._benchmarksession  # type: ignore[attr-defined]
    folder = getattr(session.storage, "path", None)
    saved = Saved(folder, benchmark.fullname, bool(session.save or session.autosave))

    def time_rounds(function: Callable[[], object], number: int) -> list[float]:
        benchmark.pedantic(function, rounds=number)
        return list(benchmark.stats.stats.data)

    try:
        return measure_throughput(speed, spec_file, speed.plan(spec_file), time_rounds, saved)
    except SpeedRefused as refused:
        return refused.mismatch
    except BaseException:
        benchmark.has_error = True  # a run that was cut short isn't one to save
        raise


def _can_time(config: pytest.Config) -> bool:
    """Whether there's a fixture to ask for; under xdist pytest-benchmark would warn of each item that does."""
    return hasattr(config, "_benchmarksession") and not _side_by_side(config)


def _untimeable(item: CheckItem) -> str:
    """Why nothing can be timed in this session; empty where it can."""
    reason = _side_by_side(item.config)
    if reason:
        return reason
    if _benchmark_of(item) is None:
        return "timing needs pytest-benchmark, which is switched off (-p no:benchmark)"
    return "" if _benchmark_of(item).enabled else "timing is switched off (--benchmark-disable)"


def _side_by_side(config: pytest.Config) -> str:
    if hasattr(config, "workerinput"):
        return "under pytest-xdist several items run at a time, so that none can be timed; run it without -n"
    return ""


def _benchmark_of(item: CheckItem) -> Any:
    """Pytest-benchmark's fixture, None without that plugin."""
    return item.funcargs.get("benchmark")


@contextmanager
def _told_in_place(item: CheckItem, spec_file: SpecFile, keys: Keys) -> Iterator[None]:
    """Tell what stops a measurement at its line of the spec: what isn't there skips, what can't be done fails."""
    loc, missing = spec_file.locate(keys, key=True), ""
    try:
        yield
    except NotMeasured as error:
        missing = str(error)
    except ArchcheckError as error:
        raise CheckFailure(f"{loc}: {error}", loc, f"{loc}: {error}") from None
    if missing:
        not_measured(item, loc, missing)


def _note_run(item: CheckItem, record: TrainingRecord) -> None:
    if record.final_accuracy is None:
        return
    last = record.epochs[-1]
    item.facts["training"] = {
        "recipe": record.kind,
        "device": record.device,
        "precision": record.precision,
        "seed": record.seed,
        "epochs": last.epoch,
        "loss": last.loss,
        "train_accuracy": last.train_accuracy,
        "test_accuracy": last.test_accuracy,
        "examples_per_sec": record.examples_per_sec,
        "first_step_sec": record.epochs[0].first_step_sec,
    }
    item.user_properties += [
        (f"archcheck_{key}", value) for key, value in item.facts["training"].items() if value is not None
    ]


def _run(item: CheckItem, spec_file: SpecFile, measured: Measured) -> None:
    """Run one check; under an update accept what can be accepted, and fail with what is left."""
    _note_facts(item, measured)
    update = item.config.getoption("archcheck_update")
    item.accepted, item.additions = [], {}
    mismatches: list[Mismatch] = []
    with _told_in_place(item, spec_file, ()):
        if item.name in sections_present(spec_file.spec) or item.name == "spec":
            mismatches = run_check(item.name, spec_file, measured, item.config.rootpath)
        if update in ("new", "all") and measured.trace is not None:
            item.additions = _additions(item, spec_file, measured)
    if update in ("changed", "all"):
        mismatches = _accept(item, spec_file, measured, mismatches)
    if mismatches:
        _fail(item, spec_file, measured, mismatches)


def _note_facts(item: CheckItem, measured: Measured) -> None:
    trace = measured.trace
    if trace is None:
        return
    measured_facts = {"params": None if trace.uninitialized else trace.root.num_params, "macs": trace.macs}
    item.facts |= measured_facts
    # Properties land in JUnit files and survive xdist.
    item.user_properties += [(f"archcheck_{key}", value) for key, value in measured_facts.items() if value is not None]
    notes = [f"ran on {trace.device}: {trace.fallback_reason}"] if trace.fallback_reason else []
    if trace.uncounted:
        notes.append(f"MACs are without {', '.join(trace.uncounted)}")
    item.facts["note"] = "; ".join(notes)


def _accept(item: CheckItem, spec_file: SpecFile, measured: Measured, mismatches: list[Mismatch]) -> list[Mismatch]:
    """Take the edits of what can be rewritten; what is left can't be."""
    item.accepted = [edit for mismatch in mismatches for edit in mismatch.edits]
    left = [mismatch for mismatch in mismatches if not mismatch.edits]
    died = measured.trace.died if measured.trace is not None else None
    if item.name == "shapes" and died is not None and not left:
        left = [crash_mismatch(spec_file.spec, *died)]
    return left


def _additions(item: CheckItem, spec_file: SpecFile, measured: Measured) -> dict[str, str]:
    from archcheck.recording.spec_writer import format_function, format_sections

    check = item.name
    absent = [key for key in RECORDED.get(check, ()) if not getattr(spec_file.spec, key)]
    if not absent:
        return {}
    assert measured.trace is not None
    if check == "function":
        recorded = recorded_function(spec_file, measured)
        item.facts["note"] = "; ".join([*filter(None, [item.facts.get("note")]), *recorded.notes])
        return {"function": "\n" + format_function(recorded.section)}
    sections = format_sections(measured.trace)
    found = {key: sections[key] for key in absent if key in sections}
    if not found:
        unknown = f": nobody knows the multiply-adds of {', '.join(measured.trace.uncounted)}"
        raise UsageError(f"no {' or '.join(absent)} can be recorded{unknown if measured.trace.uncounted else ''}")
    return found


def _fail(item: CheckItem, spec_file: SpecFile, measured: Measured, mismatches: list[Mismatch]) -> NoReturn:
    text = format_mismatches(spec_file, mismatches, measured.trace, _accept_command(item, spec_file))
    first = headline(spec_file, mismatches[0])
    more = f" (and {len(mismatches) - 1} more)" if len(mismatches) > 1 else ""
    loc = spec_file.locate(mismatches[0].keys)
    raise CheckFailure(text, loc, f"{first}{more}")


def _accept_command(item: CheckItem, spec_file: SpecFile) -> str | None:
    if item.config.getoption("archcheck_update"):
        return None
    return f"pytest --archcheck {shlex.quote(spec_file.document.path)} -k {item.name} --archcheck-update"
