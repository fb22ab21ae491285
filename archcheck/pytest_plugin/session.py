"""One run with `--archcheck`: collecting, reports at the line of the spec, the table, updates written at the end."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archcheck.errors import ArchcheckError, UsageError
from archcheck.findings import Edit
from archcheck.pytest_plugin.items import RUNS_KEY, SPEED_KEY, ArchFile, CheckItem, shown_path
from archcheck.pytest_plugin.progress import showing
from archcheck.recording.edits import apply_edits, format_diff, write_atomically
from archcheck.report.terminal import Row, add_report, format_speeds, format_summary, format_trainings
from archcheck.spec.spec_file import SUFFIX
from archcheck.system.processors import num_cpus
from archcheck.text.units import parse_bytes
from archcheck.throughput.session import SpeedSession
from archcheck.training.options import RunOptions, parse_device, parse_seed
from archcheck.training.session import TrainingSession


def choose_paths(config: pytest.Config) -> None:
    """Without paths on the command line look in `archcheck_paths`, and only there.

    Raises:
        pytest.UsageError: there is no spec file in the paths to look in.
    """
    root = config.rootpath
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(root / path) for path in config.getini("archcheck_paths")]
    if config.option.pyargs or hasattr(config, "workerinput"):
        return  # a worker parses the command line anew; what there is to say, the controller has said
    start, skipped = config.invocation_params.dir, config.getini("norecursedirs")
    if not any(_has_spec(Path(start, argument.split("::")[0]), skipped) for argument in config.args):
        looked = ", ".join(shown_path(Path(start, argument), start) for argument in config.args)
        raise pytest.UsageError(
            f"no spec file (*{SUFFIX}) in {looked}; write one: archcheck new module:callable --input B,3,224,224 "
            f"--output specs/, or say where they are: archcheck_paths in {config.inipath or 'pytest.ini'}"
        )


def _has_spec(path: Path, skipped: Sequence[str]) -> bool:
    """Whether pytest would find a spec file at a path, or in a folder that it would go into."""
    if not path.is_dir():
        return path.name.endswith(SUFFIX)
    for _, folders, files in os.walk(path):
        if any(name.endswith(SUFFIX) for name in files):
            return True
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in skipped)]
    return False


def train_options(config: pytest.Config) -> RunOptions:
    """The command line's options of training.

    Raises:
        pytest.UsageError: one of them has no meaning.
    """
    option = config.getoption
    data = option("archcheck_data") or os.environ.get("ARCHCHECK_DATA")
    try:
        budget = option("archcheck_data_budget")
        return RunOptions(
            kind=option("archcheck_train"),
            device=parse_device(option("archcheck_device")),
            seed=parse_seed(option("archcheck_seed")),
            data_dir=_folder(config, data, must_exist=not option("archcheck_download")),
            download=option("archcheck_download"),
            checkpoints=_folder(config, option("archcheck_checkpoints")),
            data_budget_bytes=None if budget is None else parse_bytes(budget),
            spec_roots=tuple(config.rootpath / path for path in config.getini("archcheck_paths")),
            num_threads=_num_threads(config),
        )
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _num_threads(config: pytest.Config) -> int | None:
    """A worker's share of the processor: threads that share a core spend their time waiting for each other."""
    if not hasattr(config, "workerinput"):
        return None
    return max(1, num_cpus() // int(config.workerinput["workercount"]))


def _folder(config: pytest.Config, name: str | None, *, must_exist: bool = False) -> Path | None:
    """A folder named on the command line, from where pytest was started."""
    if not name:
        return None
    folder = Path(config.invocation_params.dir, Path(name).expanduser())
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{name} is no folder")
    if must_exist and not folder.exists():
        raise UsageError(f"--archcheck-data (or ARCHCHECK_DATA): there is no folder {name}")
    return folder


def machine_facts(config: pytest.Config) -> dict[str, Any]:
    """The device that is timed on, its threads, and torch."""
    from archcheck.throughput.machine import describe_device
    from archcheck.throughput.speed_measurement import num_timing_threads
    from archcheck.training.devices import choose_device

    try:
        device = choose_device(config.getoption("archcheck_device"))
    except ArchcheckError as error:
        return {"device": str(error)}
    return describe_device(device) | {"threads": num_timing_threads(device)}


class ArchcheckSession:
    """The hooks of a run with `--archcheck`."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        options = train_options(config)
        config.stash[RUNS_KEY] = TrainingSession(options, config.rootpath, partial(showing, config))
        config.stash[SPEED_KEY] = SpeedSession(options, config.rootpath, config.getoption("archcheck_against"))
        config.add_cleanup(config.stash[SPEED_KEY].close)
        self._is_worker = hasattr(config, "workerinput")
        self._rows: dict[str, Row] = {}
        self._updates: dict[str, _Update] = {}
        self._diffs: list[str] = []
        self._errors: list[str] = []
        self._unsaved: list[str] = []

    def pytest_sessionstart(self) -> None:
        """Have pytest-benchmark write its files at once; by now all plugins are there."""
        benchmark_session = self._config.pluginmanager.get_plugin("pytest-benchmark")
        if benchmark_session is None:
            return
        from archcheck.throughput.regression.benchmark_storage import write_files_atomically

        self._unsaved = write_files_atomically(benchmark_session)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Parsing makes objects by the million and no cycles: with the collector at rest it takes half the time."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return (yield)
        finally:
            if was_enabled:
                gc.enable()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> ArchFile | None:
        """Claim spec files, and no other YAML."""
        if not file_path.name.endswith(SUFFIX):
            return None
        return ArchFile.from_parent(parent, path=file_path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Import torch before the clocks of the items start, and only where items will run here."""
        if not self._config.option.collectonly and any(isinstance(item, CheckItem) for item in session.items):
            import archcheck.structure.trace  # noqa: F401

            # What torch has imported stays until the end: no need to walk it in every collection (pytest's last
            # ones and Python's own take 0.2 s). Triton's bindings would call it a leak.
            if "triton" not in sys.modules:
                gc.freeze()

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
        path = report.location[0]
        report.location = (path, item.loc.line - 1, report.location[2])
        if report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (item.loc.path, item.loc.line, report.longrepr[2])
        if call.when == "call":
            report.archcheck = _payload(item)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what the items found, in this process or in another."""
        payload = getattr(report, "archcheck", None)
        if self._is_worker or payload is None:
            return
        add_report(self._rows, report, payload["facts"], updated=bool(payload["edits"] or payload["additions"]))
        if payload["edits"] or payload["additions"]:
            update = self._updates.setdefault(payload["path"], _Update(payload["facts"]["spec"]))
            update.edits += [Edit(tuple(keys), value) for keys, value in payload["edits"]]
            update.additions |= payload["additions"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the updates: one process, after every item, each file at once."""
        for path, update in self._updates.items():
            try:
                self._write(Path(path), update)
            except (ArchcheckError, OSError, UnicodeError) as error:
                self._errors.append(str(error))
        if (self._errors or self._unsaved) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, path: Path, update: _Update) -> None:
        old = path.read_bytes().decode("utf-8")
        new = apply_edits(old, update.shown, update.edits, update.additions)
        write_atomically(path, new)
        self._diffs.append(format_diff(update.shown, old, new))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table, and under an update the diff."""
        if self._config.option.no_summary:
            return
        if self._rows:
            terminalreporter.write_sep("=", "archcheck")
            rows = list(self._rows.values())
            terminalreporter.write_line(format_summary(rows))
            for table in (format_trainings(rows), format_speeds(rows)):
                if table:
                    terminalreporter.write_line(f"\n{table}")
        for diff in self._diffs:
            terminalreporter.write_sep("-", "archcheck: updated")
            for line in diff.splitlines():
                terminalreporter.write_line(line, **_diff_colour(line))
        for error in self._errors:
            terminalreporter.write_line(f"archcheck: not updated: {error}", red=True)
        for problem in self._unsaved:
            terminalreporter.write_line(f"archcheck: {problem}", red=True)


class _Update:
    """What is to be written to one file."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.edits: list[Edit] = []
        self.additions: dict[str, str] = {}


def _payload(item: CheckItem) -> dict[str, Any]:
    """What goes with an item's report, as plain values: xdist sends it to another process."""
    return {
        "facts": item.facts,
        "path": str(item.path),
        "edits": [[list(edit.keys), edit.value] for edit in getattr(item, "accepted", [])],
        "additions": getattr(item, "additions", {}),
    }


def _diff_colour(line: str) -> dict[str, bool]:
    if line.startswith(("+++", "---")):
        return {"bold": True}
    return {"green": True} if line.startswith("+") else {"red": True} if line.startswith("-") else {}
