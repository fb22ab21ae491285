"""The pytest nodes: a spec file collects one item for each check that it asks for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from archcheck.checks.check import CannotCheck, Check, CheckContext
from archcheck.checks.network_under_test import NetworkUnderTest, build_and_trace
from archcheck.checks.outcome import CheckReport, NetworkCounts, Outcome, Unmeasured
from archcheck.checks.registry import all_checks
from archcheck.dependencies.selection import Selection
from archcheck.errors import ArchcheckError, NotMeasured, Problem, SourceLoc, SpecError
from archcheck.findings import Keys, Mismatch
from archcheck.network.imports import folders_released
from archcheck.pytest_plugin.device_lock import DeviceLock
from archcheck.pytest_plugin.timing import has_benchmark, stopwatch_of
from archcheck.recording.inline_records import has_inline_record, move_inline_record
from archcheck.report.mismatches import format_mismatches, gist, independent, location
from archcheck.spec.file_names import lock_path, spec_name
from archcheck.spec.inputs import InputSource
from archcheck.spec.models import Spec
from archcheck.spec.orphaned_lock import what_to_do_with_lock
from archcheck.spec.spec_file import SpecFile, read_spec
from archcheck.structure.records import FlowRecord, StructureTrace
from archcheck.system.memory import give_back_freed_memory
from archcheck.text.paths import path_from
from archcheck.throughput.session import SpeedSession
from archcheck.training.session import TrainingSession

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

TRAINING_KEY = pytest.StashKey[TrainingSession]()
SPEED_KEY = pytest.StashKey[SpeedSession]()
_KEPT_BYTES = 2 << 30  # that the process may hold for the next network
SELECTION_KEY = pytest.StashKey[Selection]()
LOCK_KEY = pytest.StashKey[DeviceLock]()  # where other workers of pytest-xdist use the same device


class CheckFailure(Exception):  # noqa: N818 - a verdict, not a fault
    """Something that a spec promises isn't so: `summary` in one line, without `loc`; the message tells everything.

    `problems` are those of a file that can't be read; `accept` is the command that accepts the mismatches found.
    """

    def __init__(
        self,
        text: str,
        loc: SourceLoc,
        summary: str,
        *,
        problems: Sequence[Problem] = (),
        mismatches: Sequence[Mismatch] = (),
        accept: str | None = None,
    ) -> None:
        super().__init__(text)
        self.loc = loc
        self.summary = summary
        self.problems = problems
        self.mismatches = mismatches
        self.accept = accept


class SpecModule(pytest.Module):
    """One spec file. A broken one becomes a single failing `spec` item, so that the others still run."""

    # Being a Module makes a user's module-scoped fixtures work. An empty one stands behind it once it is collected:
    # with None for all of them, pytest-randomly would shuffle the checks of all specs together.
    obj: ModuleType | None = None
    checks: Sequence[tuple[str, int]] = ()  # the items' names and lines, once the file is read
    spec_file: SpecFile | None = None  # once it is read; None for a broken one
    _fixtures: Any = None  # what pytest found out about the fixtures of the first item; the others have the same
    _network: NetworkUnderTest | Mismatch | None = None

    def collect(self) -> Iterator[CheckItem | UnchangedItem]:
        """Collect the items of the file, in the order of the registry: the spec itself first.

        A file that need not be verified again need not be read.
        """
        selection = self.config.stash.get(SELECTION_KEY, None)
        unchanged = selection.unchanged_checks(str(self.path)) if selection is not None else []
        if unchanged:
            yield from (UnchangedItem.of_check(self, name, line) for name, line in unchanged)
            return
        self.checks = []
        for item in self._read_items():
            self.checks.append((item.name, item.loc.line))
            yield item

    def _read_items(self) -> Iterator[CheckItem]:
        self.obj = ModuleType(self.nodeid)
        shown = path_from(self.path, self.config.invocation_params.dir)
        try:
            spec_file = read_spec(self.path, shown, self.config.rootpath)
        except SpecError as error:
            problems, path = error.problems, self.path
            if self.config.getoption("archcheck_update") and has_inline_record(path):
                yield self._item("spec", problems[0].loc, lambda _: _move_inline_record(path, shown))
            else:
                yield self._item("spec", problems[0].loc, lambda _: raise_problems(problems))
            return
        self.spec_file = spec_file
        for check in checks_of(spec_file.spec, self.config.getoption("archcheck_update")):
            yield self._check_item(check, spec_file, check.place(spec_file.spec) or ())
        spec_file.document.release()  # a thousand specs may be waiting for their turn

    def _check_item(self, check: Check, spec_file: SpecFile, place: Keys) -> CheckItem:
        loc = spec_file.locate(place, key=True)

        def run(item: CheckItem) -> None:
            _skip_what_has_nothing_to_verify(item, check, spec_file)
            with folders_released():
                run_item(item, check, spec_file, self.network(spec_file))

        return self._item(check.name, loc, run, spec_file.spec.build)

    def _item(self, name: str, loc: SourceLoc, run: Callable[[CheckItem], None], build: str = "") -> CheckItem:
        def archcheck_item() -> None:
            run(item)

        def archcheck_timed_item(benchmark: Any) -> None:  # noqa: ARG001 - taken from the item's `funcargs`
            run(item)

        if name == "throughput" and has_benchmark(self.config):
            item: CheckItem = CheckItem.from_parent(self, name=name, callobj=archcheck_timed_item)
        else:
            # As pytest does for the items of a parametrized function; a list of its own, as plugins add to it.
            shared = self._fixtures and replace(self._fixtures, names_closure=[*self._fixtures.names_closure])
            item = CheckItem.from_parent(self, name=name, callobj=archcheck_item, fixtureinfo=shared)
            self._fixtures = self._fixtures or item._fixtureinfo
        item.loc = loc
        item.found = CheckReport(loc.path, str(self.path), name, build)
        _mark(item)
        return item

    def network(self, spec_file: SpecFile) -> NetworkUnderTest | Mismatch:
        """Build and trace the network, once for all items of the file; the mismatch says why it can't be built."""
        if self._network is None:
            device = self.config.getoption("archcheck_device")
            # What a network computes is the same everywhere: it runs on a device only where that is asked for by name.
            device = "cpu" if device == "auto" else device
            self._network = build_and_trace(spec_file, self.config.rootpath, device=device)
        return self._network

    @property
    def trace(self) -> StructureTrace | None:
        """What is known of the network's structure, from its first check to its last."""
        return self._network.trace if isinstance(self._network, NetworkUnderTest) else None

    @property
    def flow(self) -> FlowRecord | None:
        """Where what the network's layers take comes from; None where it wasn't built, or where that can't be seen."""
        with folders_released():
            return self._network.flow() if isinstance(self._network, NetworkUnderTest) else None

    def teardown(self) -> None:
        """Let go of the network and of its inputs when the last item of the file is through."""
        if self._network is not None:
            self._network = None
            give_back_freed_memory(_KEPT_BYTES)
        if self.spec_file is not None and isinstance(self.spec_file.spec.input, InputSource):
            self.spec_file.spec.input.made.clear()


def checks_of(spec: Spec, update: str | None) -> Iterator[Check]:
    """Yield the checks of a spec: those that it asks for, and those that an update may add."""
    for check in all_checks():
        if check.place(spec) is not None or (update in ("new", "all") and check.may_be_added(spec)):
            yield check


class OrphanedLock(SpecModule):
    """A lock whose spec isn't there: one failing item."""

    def collect(self) -> Iterator[CheckItem]:
        """Collect the item that says what to do with it."""
        self.obj = ModuleType(self.nodeid)
        loc = SourceLoc(path_from(self.path, self.config.invocation_params.dir), 1, 1)
        yield self._item("spec", loc, lambda _: raise_problems([Problem(loc, what_to_do_with_lock(self.path))]))


def _mark(item: pytest.Item) -> None:
    item.add_marker("archcheck")
    item.add_marker(f"archcheck_{item.name}")


class UnchangedItem(pytest.Item):
    """A check that has passed and would again, for `-k`, `-m` and counting; it is deselected before anything runs."""

    line: int

    @staticmethod
    def of_check(module: SpecModule, name: str, line: int) -> UnchangedItem:
        """Return the item of a check at a line of the spec."""
        item: UnchangedItem = UnchangedItem.from_parent(module, name=name)
        item.line = line
        _mark(item)
        return item

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return where the item stands, as that of a check that is run."""
        return self.path, self.line - 1, f"{spec_name(self.path)}: {self.name}"

    def runtest(self) -> None:
        """Skip: whoever selects it again after all gets no verdict."""
        pytest.skip("unchanged since it last passed (--archcheck-changed)")


class CheckItem(pytest.Function):
    """One check of one spec; an ordinary test function to pytest, so that fixtures, markers and plugins work.

    `loc` is the line that the item speaks of, `found` what it found so far; `is_settled` says that it has come out as
    it will as long as the spec and its lock stay as they are.
    """

    is_settled: bool = False
    loc: SourceLoc
    found: CheckReport

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return where the item stands: the line of the spec (from 0, as in pytest), and the title of its failure."""
        return self.path, self.loc.line - 1, f"{spec_name(self.path)}: {self.name}"

    # As in pytest's own Function, which leaves out an argument of Node's method too.
    def repr_failure(  # type: ignore[override]
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str | TerminalRepr:
        """Show a verdict as its own text, without a traceback; anything else as pytest shows it."""
        error = excinfo.value
        if not isinstance(error, CheckFailure):
            return super().repr_failure(excinfo)
        self.loc = error.loc
        # Not a chain of exceptions, of which pytest-rich shows nothing but the lines of code.
        text = excinfo.getrepr(style="native")
        text.reprtraceback = excinfo.getrepr(style="value").reprtraceback
        crash = text.reprcrash
        if crash is not None:
            crash.path, crash.lineno, crash.message = error.loc.path, error.loc.line, error.summary
        return text

    def note(self, outcome: Outcome) -> None:
        """Keep what was found; its figures become properties, which land in JUnit files and survive xdist."""
        known = dict(self.user_properties)
        figures = {f"archcheck_{name}": value for name, value in outcome.figures().items()}
        self.user_properties += [(name, value) for name, value in figures.items() if name not in known]
        self.found = replace(self.found, outcome=outcome)


def _move_inline_record(path: Path, shown: str) -> NoReturn:
    """Convert a spec, and skip: nothing of it is verified."""
    move_inline_record(path, shown)
    pytest.skip(
        f"what was recorded is in {lock_path(Path(shown))} now; verify it: pytest --archcheck {shlex.quote(shown)}"
    )


def raise_problems(problems: Sequence[Problem]) -> NoReturn:
    """Fail with everything that is wrong with a spec file."""
    first = problems[0]
    text = "\n".join(str(problem) for problem in problems)
    raise CheckFailure(text, first.loc, f"{first.message}{_and_more(problems)}", problems=problems)


def _and_more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


# ------------------------------------------------------------------------------------------- running a check


def run_item(item: CheckItem, check: Check, spec_file: SpecFile, network: NetworkUnderTest | Mismatch) -> None:
    """Run one check; under an update accept what can be accepted, and fail with what is left."""
    if isinstance(network, Mismatch):
        item.note(Outcome((network,)))
        _fail(item, spec_file, [network], None)
    context = _context(item, spec_file, network)
    if check.needs.is_instant:
        item.note(_facts_of(network.trace))
    outcome = _run(item, check, context)
    item.note(outcome)
    if outcome.mismatches:
        _fail(item, spec_file, outcome.mismatches, network.trace, outcome.unmeasured)
    if outcome.unmeasured:
        _not_measured(item, spec_file, outcome.unmeasured)


def _skip_what_has_nothing_to_verify(item: CheckItem, check: Check, spec_file: SpecFile) -> None:
    """Skip such a check before its network is built, unless an update is to record what it verifies."""
    if item.config.getoption("archcheck_update") in ("new", "all"):
        return
    try:
        reason = check.nothing_to_verify(spec_file)
    except SpecError as error:
        raise_problems(error.problems)
    if reason is not None:
        what = reason.partition(":")[0]  # without the command, so that it's told once for all specs
        note = f"{check.name} isn't verified: {what} (-rs says what to do)"
        item.found = replace(item.found, outcome=Outcome(notes=(note,)))
        item.is_settled = not item.config.getoption("archcheck_strict")
        _not_measured(item, spec_file, (Unmeasured(reason),))


def _context(item: CheckItem, spec_file: SpecFile, network: NetworkUnderTest) -> CheckContext:
    config = item.config
    return CheckContext(
        spec_file=spec_file,
        network=network,
        training=config.stash[TRAINING_KEY],
        speed=config.stash[SPEED_KEY],
        stopwatch=stopwatch_of(item),
        rootdir=config.rootpath,
    )


def _facts_of(trace: StructureTrace) -> Outcome:
    """Return what every check of a network can tell of it: its counts, and anything unusual about the trace."""
    notes = [f"ran on {trace.device}: {trace.fallback_reason}"] if trace.fallback_reason else []
    if trace.uncounted:
        notes.append(f"MACs are without {', '.join(trace.uncounted)}")
    counts = NetworkCounts(None if trace.uninitialized else trace.root.num_params, trace.macs)
    return Outcome(notes=tuple(notes), counts=counts)


def _run(item: CheckItem, check: Check, context: CheckContext) -> Outcome:
    """Run a check and record what an update asks for; what stops it is told at its line of the spec."""
    place = check.place(context.spec)
    keys = () if check.needs.is_instant or place is None else place
    before = item.found.outcome
    try:
        outcome = _measured(item, check, context) if place is not None else Outcome()
        outcome = _with_update(outcome, check, context, item.config.getoption("archcheck_update"))
    except NotMeasured as error:
        return replace(before, unmeasured=(Unmeasured(str(error), keys),))
    except SpecError as error:
        raise_problems(error.problems)
    except ArchcheckError as error:
        loc = context.spec_file.locate(error.keys if isinstance(error, CannotCheck) else keys, key=True)
        raise CheckFailure(f"{loc}: {error}", loc, str(error)) from None
    return replace(outcome, notes=(*before.notes, *outcome.notes), counts=before.counts)


def _measured(item: CheckItem, check: Check, context: CheckContext) -> Outcome:
    """Run a check; where it computes on a device that other workers use, beside these."""
    lock = item.config.stash.get(LOCK_KEY, None)
    is_on_device = not check.needs.is_instant or item.config.getoption("archcheck_device") != "auto"
    if lock is None or not is_on_device:
        return check.run(context)
    return lock.run(lambda: check.run(context))


def _with_update(outcome: Outcome, check: Check, context: CheckContext, update: str | None) -> Outcome:
    """Add what an update records, and take the edits of what it accepts; the mismatches left can't be accepted."""
    if update in ("new", "all"):
        recording = check.record(context)
        notes = (*outcome.notes, *recording.notes)
        outcome = replace(outcome, additions=recording.sections, edits=tuple(recording.edits), notes=notes)
        if outcome.is_update:  # what could not be measured for want of it is there now
            outcome = replace(outcome, unmeasured=tuple(one for one in outcome.unmeasured if one.edits))
    if update is not None:
        edits = tuple(edit for one in outcome.unmeasured for edit in one.edits)
        unmeasured = tuple(one for one in outcome.unmeasured if not one.edits)
        outcome = replace(outcome, unmeasured=unmeasured, edits=(*outcome.edits, *edits))
    if update in ("changed", "all"):
        accepted = [one for one in outcome.mismatches if update == "all" or not one.is_removal]
        edits = tuple(edit for mismatch in accepted for edit in mismatch.edits)
        left = [*check.refuse_update(context, accepted), *(one for one in outcome.mismatches if one not in accepted)]
        outcome = replace(outcome, mismatches=tuple(left), edits=(*outcome.edits, *edits))
    return outcome


def _not_measured(item: CheckItem, spec_file: SpecFile, unmeasured: Sequence[Unmeasured]) -> None:
    """Skip with the reasons, or fail where that is asked for: a gate that did not measure is never green."""
    reason = "; ".join(one.reason for one in unmeasured)
    keys = unmeasured[0].keys
    loc = item.loc if keys is None else spec_file.locate(keys, key=True)
    if keys:
        item.loc = loc
    if item.config.getoption("archcheck_strict"):
        raise CheckFailure(f"{loc}: not measured: {reason}", loc, f"not measured: {reason}") from None
    pytest.skip(reason)


def _fail(
    item: CheckItem,
    spec_file: SpecFile,
    mismatches: Sequence[Mismatch],
    trace: StructureTrace | None,
    unmeasured: Sequence[Unmeasured] = (),
) -> NoReturn:
    tells_all = item.config.get_verbosity() >= 2
    accept = _accept_command(item, spec_file, mismatches)
    told = format_mismatches(spec_file, mismatches, trace, accept, tells_all=tells_all)
    of_places = [one for one in unmeasured if one.keys]  # nobody else tells of these where the check fails
    left = [f"{spec_file.locate(one.keys or (), key=True)}: not measured: {one.reason}" for one in of_places]
    text = "\n".join([told, *left])
    summary = f"{gist(mismatches[0])}{_and_more(independent(mismatches))}"
    raise CheckFailure(
        text, location(spec_file, mismatches[0]), summary, mismatches=mismatches,
        accept=accept if any(one.edits for one in mismatches) else None,
    )  # fmt: skip


def _accept_command(item: CheckItem, spec_file: SpecFile, mismatches: Sequence[Mismatch]) -> str | None:
    update = item.config.getoption("archcheck_update")
    removes = any(one.is_removal for one in mismatches)
    if update == "all" or (update and not removes):
        return None
    flag = "--archcheck-update=all" if removes else "--archcheck-update"
    return f"pytest --archcheck {shlex.quote(spec_file.document.path)} -k {item.name} {flag}"
