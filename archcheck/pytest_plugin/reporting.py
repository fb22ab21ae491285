"""`--archcheck-report`: what the checks find is gathered, and at the end written as a page, a summary, or data."""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from archcheck.checks.registry import CHECKS
from archcheck.errors import Problem
from archcheck.pytest_plugin.items import CheckFailure, CheckItem, SpecModule
from archcheck.pytest_plugin.options import machine_facts
from archcheck.pytest_plugin.run_environment import environment_of
from archcheck.pytest_plugin.session import ArchcheckSession
from archcheck.pytest_plugin.usage import usage_errors_of_pytest
from archcheck.pytest_plugin.workers import is_check, is_worker, named_check
from archcheck.report.files import require_report_name, write_report
from archcheck.report.joining import join_specs
from archcheck.report.network_record import with_layers
from archcheck.report.run_record import (
    CheckOutcome,
    CheckResult,
    Failure,
    Run,
    RunRecord,
    SpecResult,
    count_outcomes,
    failing_first,
    run_verdict,
)
from archcheck.report.spec_record import (
    claims_of,
    failures_of_mismatches,
    failures_of_problems,
    first_difference,
    plain_figures,
    training_of,
)

AUTO: Final = "auto"
_BANNER: Final = re.compile(r"\A\[gw\d+\] [^\n]*\n+")  # of pytest-xdist, which says where, and not what
_SUMMARY_VARIABLE: Final = "GITHUB_STEP_SUMMARY"
_ATTRIBUTE, _MACHINE = "archcheck_report", "archcheck_machine"  # of a report of pytest's, for whoever gathers them


class ReportSession:
    """The hooks of a run with `--archcheck-report`.

    A worker of pytest-xdist only sends along what its checks find, as text: any other value may be none of execnet's.
    """

    def __init__(self, config: pytest.Config, session: ArchcheckSession) -> None:
        self._config, self._session = config, session
        self._is_worker = is_worker(config)
        self._started = time.time()
        self._paths = [] if self._is_worker else report_paths(config)
        self._summary = None if self._is_worker else step_summary(config)
        self._told_layers: set[str] = set()
        self._is_machine_told = False
        self._parts: list[SpecResult] = []
        self._machine: dict[str, Any] = {}
        self._other_tests: Counter[str] = Counter()
        self._problems: list[str] = []
        self._written: list[str] = []
        self._errors: list[str] = []

    # ----------------------------------------------------------------------------------------- where a check ran

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send along what a check found."""
        report = yield
        if isinstance(item, CheckItem) and (call.when == "call" or not report.passed):
            self.attach(item, call, report)
            if not self._is_machine_told and "torch" in sys.modules:
                self._is_machine_told = True
                setattr(report, _MACHINE, machine_facts(self._config))
        return report

    def attach(self, item: CheckItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Have a report carry what a check found."""
        setattr(report, _ATTRIBUTE, _to_text(self._part_of(item, call, report)))

    def _part_of(self, item: CheckItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> SpecResult:
        """Return what is known of a spec from one of its checks; the layers once, as they are the same for all."""
        module, found = item.parent, item.found
        assert isinstance(module, SpecModule)
        outcome, spec_file, trace = found.outcome, module.spec_file, module.trace
        result = _result_of(item, call, report, module)
        part = SpecResult(found.spec, build=found.build, checks=(result,), notes=outcome.notes, speed=outcome.speed)
        part = replace(part, memory=outcome.memory)
        if outcome.counts is not None:
            part = replace(part, parameters=outcome.counts.num_params, macs=outcome.counts.macs)
        if spec_file is not None:
            part = replace(part, name=spec_file.name, source=spec_file.spec.source)
            if outcome.training is not None:
                part = replace(part, training=training_of(spec_file.spec, outcome.training))
            if item.name == "claims":
                told = result.reason or (call.excinfo.exconly() if call.excinfo is not None else None)
                part = replace(part, claims=claims_of(spec_file.spec, outcome, result.outcome, told))
        if trace is not None and (found.path not in self._told_layers or outcome.mismatches):
            whole = with_layers(part, trace)
            part = replace(part, first_difference=first_difference(whole.layers, outcome.mismatches))
            if found.path not in self._told_layers:
                self._told_layers.add(found.path)
                part = with_layers(part, trace, module.flow)
        return part

    # ----------------------------------------------------------------------------------------- where it is gathered

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what can't be collected."""
        if report.failed and not self._is_worker:
            self._problems.append(f"{report.nodeid or 'collection'}: {report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what the checks found, in this process or in another."""
        if self._is_worker or report.outcome not in ("passed", "failed", "skipped"):
            return
        self._machine = self._machine or getattr(report, _MACHINE, {})
        text = getattr(report, _ATTRIBUTE, None)
        if text is not None:
            self._parts.append(_from_text(text))
        elif is_check(report.nodeid):
            named = named_check(self._config, report.nodeid) if report.failed else None
            if named is not None:  # a worker of pytest-xdist is gone, and with it what it found
                self._parts.append(_lost(report, *named[1:]))
        elif report.when == "call" or not report.passed:
            self._other_tests[report.outcome] += 1

    # trylast: by now updates are written, and other plugins have said what they have to of the exit status.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files; one that can't be written fails the run, and doesn't keep the others from it."""
        if self._is_worker or self._config.option.collectonly:
            return
        record = self._record(int(session.exitstatus))
        for path, shown in self._paths:
            try:
                write_report(record, path)
                self._written.append(shown)
            except OSError as error:
                self._errors.append(f"{shown}: can't be written: {error.strerror or error}")
        if self._summary is not None:
            self._append_summary(record, self._summary)
        if self._errors and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _record(self, exit_status: int) -> RunRecord:
        joined = join_specs([*self._parts, *self._unchanged()], list(CHECKS))
        specs = failing_first([_unwritten(spec, self._session.unwritten.get(spec.spec)) for spec in joined])
        not_run = {spec: tuple(checks) for spec, checks in self._session.not_run.items()}
        run = Run(
            command=shlex.join(["pytest", *map(str, self._config.invocation_params.args)]),
            started_at=datetime.datetime.fromtimestamp(self._started, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            duration_sec=round(time.time() - self._started, 3),
            exit_status=exit_status,
            environment=environment_of(self._config, self._machine),
            num_not_run=sum(map(len, not_run.values())),
            not_run=not_run,
            other_tests=dict(self._other_tests),
            problems=tuple(self._problems),
        )
        totals = count_outcomes(specs, (run,))
        return RunRecord(verdict=run_verdict(exit_status, totals), totals=totals, runs=(run,), specs=specs)

    def _unchanged(self) -> Iterable[SpecResult]:
        """Yield what was left out, as it would come out as before."""
        for row in self._session.rows:
            left_out = self._session.left_out.get(row.spec)
            if left_out:
                checks = tuple(CheckResult(name, outcome) for name, outcome in left_out.items())
                yield SpecResult(row.spec, build=row.build, parameters=row.num_params, macs=row.macs, checks=checks)

    def _append_summary(self, record: RunRecord, path: Path) -> None:
        from archcheck.report.markdown import LIMIT_BYTES, format_markdown

        try:
            there = path.stat().st_size if path.exists() else 0
            text = format_markdown(record, limit_bytes=LIMIT_BYTES - there)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            self._written.append("the job's summary")
        except OSError as error:
            self._errors.append(f"{_SUMMARY_VARIABLE}: {path} can't be written: {error.strerror or error}")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the reports are."""
        if self._written and self._config.get_verbosity() >= 0:
            terminalreporter.write_line(f"archcheck: report: {', '.join(self._written)}")
        for error in self._errors:
            terminalreporter.write_line(f"archcheck: report: {error}", red=True)


def _lost(report: pytest.TestReport, spec: str, check: str) -> SpecResult:
    """Return what is known of a check that nobody has told of."""
    why = _BANNER.sub("", report.longreprtext).strip()
    return SpecResult(spec, checks=(CheckResult(check, "error", traceback=why or None),))


def _result_of(
    item: CheckItem, call: pytest.CallInfo[None], report: pytest.TestReport, module: SpecModule
) -> CheckResult:
    outcome = item.found.outcome
    result = CheckResult(
        item.name, _outcome_of(item, call, report), item.loc.line, round(report.duration, 4),
        # What has a place of its own in the record is left out.
        figures=plain_figures(replace(outcome, counts=None, training=None, speed=None).figures()),
    )  # fmt: skip
    if report.skipped and isinstance(report.longrepr, tuple):
        return replace(result, reason=report.longrepr[2].removeprefix("Skipped: "))
    error = call.excinfo.value if call.excinfo is not None else None
    if not isinstance(error, CheckFailure):
        return replace(result, traceback=report.longreprtext or None)
    if error.mismatches and module.spec_file is not None:
        failures = failures_of_mismatches(module.spec_file, error.mismatches, module.trace)
        more = len(error.mismatches) - len(failures)
        return replace(result, failures=failures, num_more_failures=more, accept=error.accept)
    problems = error.problems or [Problem(error.loc, error.summary)]
    failures = failures_of_problems(Path(item.path), problems)
    return replace(result, failures=failures, num_more_failures=len(problems) - len(failures))


def _unwritten(spec: SpecResult, error: str | None) -> SpecResult:
    """Return a spec as it came out; its updates failed where they aren't written for an error."""
    if error is None:
        return spec
    checks = [
        replace(one, outcome="failed", failures=(Failure(spec.spec, one.line or 1, f"not updated: {error}"),))
        if one.outcome == "updated"
        else one
        for one in spec.checks
    ]
    return replace(spec, checks=tuple(checks))


def _outcome_of(item: CheckItem, call: pytest.CallInfo[None], report: pytest.TestReport) -> CheckOutcome:
    if report.passed:
        return "updated" if item.found.outcome.is_update else "passed"
    if report.skipped:
        return "skipped"
    return "failed" if call.when == "call" else "error"  # a fixture of the user's, for one


@functools.cache
def _part_adapter() -> TypeAdapter[SpecResult]:
    return TypeAdapter(SpecResult)


def _to_text(part: SpecResult) -> str:
    return json.dumps(_part_adapter().dump_python(part))


def _from_text(text: str) -> SpecResult:
    return _part_adapter().validate_python(json.loads(text))


# ------------------------------------------------------------------------------------------- the command line


def report_paths(config: pytest.Config) -> list[tuple[Path, str]]:
    """Return the files to write, each with its name as it was given, and make their folders.

    They count from where pytest was started: a plugin or a conftest file may go elsewhere.

    Raises:
        pytest.UsageError: a file has another suffix, or can't be written.
    """
    found = []
    for name in config.getoption("archcheck_report"):
        if name == AUTO:
            continue
        path = Path(config.invocation_params.dir, Path(name).expanduser())
        with usage_errors_of_pytest():
            require_report_name(path, f"--archcheck-report {name}", f", or {AUTO}")
        _require_writable(path, f"--archcheck-report {name}")
        found.append((path, name))
    return found


def _require_writable(path: Path, shown: str) -> None:
    """Raise pytest.UsageError before anything runs for what would only be found out after everything has run."""
    try:
        if path.is_dir():
            raise pytest.UsageError(f"{shown}: is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise pytest.UsageError(f"{shown}: can't be written: {error.strerror or error}") from None


def step_summary(config: pytest.Config) -> Path | None:
    """Return the file of GitHub's that a job's summary is made of, where `auto` asks for it and there is one."""
    named = os.environ.get(_SUMMARY_VARIABLE) if AUTO in config.getoption("archcheck_report") else None
    return Path(named) if named else None
