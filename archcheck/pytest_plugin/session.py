"""The hooks of a run that verifies specs: collecting, reports at their lines, the table, updates at the end."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archcheck.checks.outcome import CheckReport
from archcheck.dependencies.store import SpecRecord
from archcheck.errors import ArchcheckError
from archcheck.findings import Change
from archcheck.pytest_plugin.device_lock import DeviceLock
from archcheck.pytest_plugin.items import LOCK_KEY, SPEED_KEY, TRAINING_KEY, CheckItem, OrphanedLock, SpecModule
from archcheck.pytest_plugin.options import place_of, run_options
from archcheck.pytest_plugin.progress import ToldWarnings, showing
from archcheck.pytest_plugin.spec_paths import SpecPaths
from archcheck.pytest_plugin.timing import TIMES_ALONE
from archcheck.pytest_plugin.worker_devices import PLACE, Place, as_variable, describe, places_of
from archcheck.pytest_plugin.workers import EXECUTOR, is_worker, named_check
from archcheck.recording.edits import apply_edits, format_diff, write_atomically
from archcheck.recording.ignored_locks import ignored_locks
from archcheck.recording.lock_writer import changed_lock, describe_changes, format_lock, is_of_lock
from archcheck.report.run_record import CheckOutcome
from archcheck.report.summary_tables import (
    NOT_RUN,
    VERDICTS,
    Room,
    Row,
    format_speeds,
    format_summary,
    format_trainings,
)
from archcheck.spec.file_names import SUFFIX, lock_path, spec_path
from archcheck.spec.lock import read_lock
from archcheck.spec.spec_file import parse_spec
from archcheck.system.memory import keep_freed_memory
from archcheck.text.paths import path_from
from archcheck.throughput.session import SpeedSession
from archcheck.training.session import TrainingSession

_VERDICT_COLOURS = {"FAILED": {"red": True}, NOT_RUN: {"yellow": True}, "skipped": {"yellow": True}}


class ArchcheckSession:
    """The hooks of a run that verifies specs."""

    def __init__(self, config: pytest.Config, paths: SpecPaths, *, chose_dist: bool) -> None:
        self._config = config
        self._paths = paths
        self._chose_dist = chose_dist
        options = run_options(config)
        config.stash[TRAINING_KEY] = TrainingSession(options, config.rootpath, partial(showing, config))
        config.stash[SPEED_KEY] = SpeedSession(options, config.rootpath, config.getoption("archcheck_against"))
        config.add_cleanup(config.stash[SPEED_KEY].close)
        if not is_worker(config):
            warnings = logging.getLogger("archcheck")
            told = ToldWarnings(config)
            warnings.addHandler(told)
            config.add_cleanup(partial(warnings.removeHandler, told))
        self._is_worker = is_worker(config)
        place = place_of(config)
        if place.lock:
            config.stash[LOCK_KEY] = DeviceLock(place.lock, partial(_release, options.device))
        self._rows: dict[str, Row] = {}
        self._to_run: dict[str, tuple[str, str]] = {}  # the spec and the check of each node id
        self._ran: set[str] = set()
        self._updates: dict[str, _Update] = {}
        self._diffs: list[str] = []
        self._errors: list[str] = []
        self.left_out: dict[str, dict[str, CheckOutcome]] = {}  # by the path of a spec, how its checks would come out
        self.unwritten: dict[str, str] = {}  # why the update of a spec isn't written, by its path
        self._newly_locked: list[Path] = []  # specs that had no lock
        self._unsaved: list[str] = []
        self._is_told = self._is_ready = False
        self._has_devices = False  # whether each worker of pytest-xdist has one of its own

    @property
    def not_run(self) -> dict[str, list[str]]:
        """The checks of each spec that were to run and haven't, as after -x or Ctrl-C."""
        found: dict[str, list[str]] = {}
        for nodeid, (spec, check) in self._to_run.items():
            if nodeid not in self._ran:
                found.setdefault(spec, []).append(check)
        return found

    @property
    def rows(self) -> Sequence[Row]:
        """What is known of each spec so far."""
        return list(self._rows.values())

    def pytest_sessionstart(self) -> None:
        """Have pytest-benchmark write its files at once; by now all plugins are there."""
        benchmark_session = self._config.pluginmanager.get_plugin("pytest-benchmark")
        if benchmark_session is None:
            return
        from archcheck.throughput.regression.benchmark_storage import write_files_atomically

        self._unsaved = write_files_atomically(benchmark_session)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Pause the garbage collector, which halves the time: parsing makes objects by the million and no cycles."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return (yield)
        finally:
            if was_enabled:
                gc.enable()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SpecModule | None:
        """Claim spec files, and no other YAML, and locks whose spec isn't there."""
        if self._paths.is_spec(file_path):
            return SpecModule.from_parent(parent, path=file_path)
        if self._paths.is_lock(file_path) and not spec_path(file_path).exists():
            return OrphanedLock.from_parent(parent, path=file_path)
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add specs that are links to nothing to those of a folder: pytest passes over what is no file."""
        report = yield
        if isinstance(collector, pytest.Directory) and report.passed:
            report.result += self._broken_links(collector)
        return report

    def _broken_links(self, folder: pytest.Directory) -> Iterator[SpecModule]:
        with os.scandir(folder.path) as entries:
            names = sorted(one.name for one in entries if one.name.endswith(SUFFIX) and one.is_symlink())
        for path in (folder.path / name for name in names):
            is_broken = self._paths.is_spec(path) and not path.exists()
            if is_broken and not folder.ihook.pytest_ignore_collect(collection_path=path, config=self._config):
                yield SpecModule.from_parent(folder, path=path)

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out tests that lie beside specs, in folders that are only looked into for those."""
        return True if self._paths.is_left_out(collection_path) else None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what there is to run."""
        if not self._config.option.collectonly:
            checks = (item for item in session.items if isinstance(item, CheckItem))
            self._to_run |= {item.nodeid: (item.found.spec, item.name) for item in checks}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note what there is to run, where the workers of pytest-xdist collect."""
        named = {nodeid: named_check(self._config, nodeid) for nodeid in ids}
        self._to_run |= {nodeid: one[1:] for nodeid, one in named.items() if one is not None}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Import torch before the clocks of the items start; a worker of xdist may get none of those that need it."""
        if self._is_worker or self._config.pluginmanager.has_plugin(EXECUTOR):
            return
        if not self._config.option.collectonly and any(isinstance(item, CheckItem) for item in session.items):
            self._get_ready()
        # Items, and what torch has imported, stay until the end: no need to walk them in every collection (pytest's
        # last ones and Python's own take 0.2 s, and as much for a thousand specs). Triton's bindings would call it
        # a leak.
        if "triton" not in sys.modules:
            gc.freeze()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Import torch before the clocks of a worker's first check start, that of pytest-timeout among them."""
        if isinstance(item, CheckItem) and not self._is_ready:
            self._get_ready()
        return (yield)

    def _get_ready(self) -> None:
        import archcheck.structure.trace  # noqa: F401

        keep_freed_memory()
        self._is_ready = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: Sequence[Any]) -> None:
        """Give the devices of this machine to the workers on it, before they start."""
        local = [spec for spec in specs if spec.popen]
        given = places_of(config.getoption("archcheck_device"), len(local), os.environ)
        folder = tempfile.mkdtemp(prefix="archcheck-") if any(place.num_sharing > 1 for place, _ in given) else ""
        if folder:
            config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
        self._has_devices = bool(local) and all(place.is_own for place, _ in given)
        told = {}
        for spec, (place, variables) in zip(local, given, strict=True):
            lock = os.path.join(folder, place.shown.partition(" ")[0].replace(":", "-"))
            told[spec.id] = replace(place, lock=lock) if place.num_sharing > 1 else place
            spec.env.update({**variables, PLACE: as_variable(told[spec.id])})
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and any(place != Place() for place in told.values()):
            reporter.write_line(f"archcheck: {describe(told)}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object | None:
        """Have pytest-xdist leave the checks of a spec together, unless the user chose how it distributes."""
        if self._chose_dist:
            return None
        from archcheck.pytest_plugin.scheduling import WholeSpecScheduling

        return WholeSpecScheduling(config, log, times_last=not self._has_devices)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist whether what is timed is run when nothing else is."""
        schedulers = self._config.hook.pytest_xdist_make_scheduler.get_hookimpls()
        others = [one for one in schedulers if one.plugin is not self and not one.trylast]
        node.workerinput[TIMES_ALONE] = not (self._chose_dist or self._has_devices or others)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Point the report at the spec's line and send along what the table and the update need."""
        report = yield
        if not isinstance(item, CheckItem):
            return report
        benchmark: Any = item.funcargs.get("benchmark")
        if benchmark is not None and benchmark.stats is None:
            benchmark.skipped = True  # or it warns that nobody has used it
        if report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (item.loc.path, item.loc.line, report.longrepr[2])
        attach(item, call, report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what the items found, in this process or in another."""
        if self._is_worker or report.outcome not in VERDICTS:  # "rerun": another attempt follows
            return
        if report.when == "call" or not report.passed:
            self._ran.add(report.nodeid)
        plain = getattr(report, "archcheck", None)
        found = self._found_nothing(report) if plain is None else CheckReport.from_plain(plain)
        if found is None:
            return
        self._rows.setdefault(found.spec, Row(found.spec)).add(found, report.outcome, report.duration)
        if found.outcome.is_update:
            update = self._updates.setdefault(found.path, _Update(found.spec))
            update.edits += found.outcome.edits
            update.additions |= found.outcome.additions

    def _found_nothing(self, report: pytest.TestReport) -> CheckReport | None:
        """Return what a check found that didn't run: its worker died, a fixture failed, or it was skipped before."""
        named = None if report.passed else named_check(self._config, report.nodeid)
        if named is None:
            return None
        spec, shown, check = named
        return CheckReport(shown, str(spec), check)

    def add_unchanged(self, spec: str, record: SpecRecord, checks: Iterable[str]) -> None:
        """Add checks that were left out, as they would come out as before, to the table."""
        row = self._rows.setdefault(spec, Row(spec, record.build, record.num_params, record.macs))
        self.left_out[spec] = {check: "skipped" if record.green[check].is_skipped else "unchanged" for check in checks}
        row.verdicts |= self.left_out[spec]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Note what wasn't run, and write the updates: one process, after every item, each file at once."""
        for spec, checks in self.not_run.items():
            if spec in self._rows:
                self._rows[spec].mark_not_run(checks)
        for path, update in self._updates.items():
            try:
                self._write(Path(path), update)
            except (ArchcheckError, OSError, UnicodeError) as error:
                self._errors.append(str(error))
                self.unwritten[update.shown] = str(error)
                self._rows[update.shown].mark_unwritten()
        if (self._errors or self._unsaved) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, path: Path, update: _Update) -> None:
        """Write a lock, and then its spec: of a crash between them the next run tells, and its update mends it."""
        old = path.read_bytes().decode("utf-8")
        edits = [edit for edit in update.edits if not is_of_lock(edit)]
        new = apply_edits(old, update.shown, edits, update.additions)
        changes = [edit for edit in update.edits if is_of_lock(edit)]
        if changes:
            self._write_lock(path, update.shown, parse_spec(new, update.shown, path).spec.build, changes)
        if new != old:
            write_atomically(path, new)
            self._diffs.append(format_diff(update.shown, old, new))

    def _write_lock(self, path: Path, shown: str, build: str, changes: Sequence[Change]) -> None:
        found = read_lock(path, shown)
        old = {} if found is None else found.value
        new = changed_lock(old, build, changes)
        if new != old:
            write_atomically(lock_path(path), format_lock(new))
            if found is None:
                self._newly_locked.append(path)
            self._diffs.append(f"{lock_path(Path(shown))}: {describe_changes(old, new)}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the tables, and under an update the diff."""
        self._is_told = True
        if self._config.option.no_summary:
            return
        if self._rows or self.not_run:
            terminalreporter.write_sep("=", "archcheck")
            self._write_tables(terminalreporter)
        for diff in self._diffs:
            terminalreporter.write_sep("-", "archcheck: updated")
            for line in diff.splitlines():
                terminalreporter.write_line(line, **_diff_colour(line))
        ignored = ignored_locks(self._newly_locked)
        if ignored is not None:
            told = path_from(Path(ignored.loc.path), self._config.invocation_params.dir)
            terminalreporter.write_line(f"archcheck: {told}: {ignored.message}", yellow=True)
        for error in self._errors:
            terminalreporter.write_line(f"archcheck: not updated: {error}", red=True)
        for problem in self._unsaved:
            terminalreporter.write_line(f"archcheck: {problem}", red=True)

    def _write_tables(self, reporter: pytest.TerminalReporter) -> None:
        # Without a terminal the width is one that pytest assumes: no reason to cut off what a log has room for.
        is_known = reporter.isatty or "COLUMNS" in os.environ
        room = Room(reporter._tw.fullwidth, keeps_names=not is_known, lists_all=self._config.get_verbosity() > 0)
        rows = list(self._rows.values())
        num_unreached = len(self.not_run.keys() - self._rows.keys())
        for line in format_summary(rows, room, num_unreached):
            reporter.write_line(line.text, **_VERDICT_COLOURS.get(line.verdict, {}))
        for table in (format_trainings(rows, room), format_speeds(rows, room)):
            if table:
                reporter.write_line("\n" + "\n".join(table))

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Write them where another plugin has replaced the reporter of pytest, which asks for summaries."""
        is_replaced = not config.pluginmanager.has_plugin("terminalreporter")
        if is_replaced and not (self._is_told or self._is_worker or config.pluginmanager.is_blocked("terminal")):
            self.pytest_terminal_summary(pytest.TerminalReporter(config))


def attach(item: CheckItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Have a report stand at the check's line, and carry what it found."""
    report.location = (report.location[0], item.loc.line - 1, report.location[2])
    if call.when == "call":
        report.archcheck = item.found.to_plain()  # type: ignore[attr-defined]


def _release(device: str) -> None:
    """Free what torch keeps on a device and nothing uses."""
    from archcheck.network.devices import choose_device, release

    release(choose_device(device))


class _Update:
    """The changes to write to one file, which messages call `shown`."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.edits: list[Change] = []
        self.additions: dict[str, str] = {}


def _diff_colour(line: str) -> dict[str, bool]:
    if line.startswith(("+++", "---")):
        return {"bold": True}
    return {"green": True} if line.startswith("+") else {"red": True} if line.startswith("-") else {}
