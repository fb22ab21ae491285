"""`--archcheck-executor`: checks are submitted to an executor, and their reports told as if they had run here."""

from __future__ import annotations

import builtins
import gc
import os
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from archcheck.executors.checkout import digest_of_sources, digest_of_spec
from archcheck.executors.dispatch import Dispatch
from archcheck.executors.records import Answer, Request, RunSetup
from archcheck.executors.targets import choose_executor
from archcheck.pytest_plugin.items import CheckFailure, CheckItem, SpecModule
from archcheck.pytest_plugin.session import attach
from archcheck.pytest_plugin.usage import usage_errors_of_pytest
from archcheck.pytest_plugin.workers import CHANGED, REPORT, SHARE_KEY
from archcheck.system.processes import from_line
from archcheck.text.words import counted

_TRAINING: Final = ("accuracy", "throughput", "claims")


class ExecutorSession:
    """The hooks of a run that has its checks run by an executor."""

    def __init__(self, config: pytest.Config, name: str) -> None:
        self._config = config
        _refuse_other_options(config)
        with usage_errors_of_pytest():
            self._choice = choose_executor(name, config.rootpath, config.getoption("archcheck_device"))
        config.stash[SHARE_KEY] = self._choice.share
        self._timeout = item_timeout_sec(config)
        self._sys_path = _paths_below(config.rootpath)
        self._told: list[str] = []
        self._hosts = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what needs no network here, and the rest elsewhere; tell of both in the order of collection."""
        if session.config.option.collectonly or not any(map(_runs_elsewhere, session.items)):
            return None
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{counted(session.testsfailed, 'error')} during collection")
        gc.freeze()  # items stay until the end: no need to walk them in every collection
        runs = list(_runs(session.items))
        setup = self._setup()
        requests = [self._request(items, setup) for items in runs if _runs_elsewhere(items[0])]
        with usage_errors_of_pytest():
            dispatch = Dispatch(self._choice.make, requests, self._tell)
        try:
            dispatch.start()
            self._tell_all(session, runs, dispatch)
        except KeyboardInterrupt:
            self._tell_answered(runs, dispatch)
            dispatch.cancel()
            raise
        except BaseException:
            dispatch.cancel()
            raise
        dispatch.close()
        gc.freeze()  # nor what was found in pytest's last ones
        answers = ((name, counted(number, "request")) for name, number in dispatch.hosts.most_common())
        self._hosts = ", ".join(f"{name} ({requests})" for name, requests in answers)
        return True

    def pytest_report_header(self) -> str:
        """Say what runs the checks."""
        return f"archcheck: checks run by {self._choice.name}"

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which hosts have answered, and what else was to be told of them."""
        if self._hosts and terminalreporter.config.get_verbosity() >= 0:
            terminalreporter.write_line(f"archcheck: answered by: {self._hosts}")
        for line in self._told:
            terminalreporter.write_line(f"archcheck: {line}", yellow=True)

    # ------------------------------------------------------------------------------------------- what goes out

    def _request(self, items: Sequence[pytest.Item], setup: RunSetup) -> Request:
        path = items[0].path
        return Request(
            setup,
            spec=path.relative_to(self._config.rootpath).as_posix(),
            digest=digest_of_spec(path),
            checks=[item.name for item in items],
            trains=items[0].name in _TRAINING,
        )

    def _setup(self) -> RunSetup:
        config, root = self._config, self._config.rootpath
        reports = (Path(config.invocation_params.dir, name) for name in config.getoption("archcheck_report"))
        unread = [path.relative_to(root).as_posix() for path in reports if path.is_relative_to(root)]
        return RunSetup(
            run=uuid.uuid4().hex,
            args=[str(one) for one in config.invocation_params.args],
            root=str(root),
            cwd=os.path.relpath(config.invocation_params.dir, root),
            sys_path=self._sys_path,
            sources=digest_of_sources(root, unread),
            unread=unread,
            share=self._choice.share,
            randomly_seed=getattr(config.option, "randomly_seed", None),
            item_timeout_sec=self._timeout,
        )

    # ------------------------------------------------------------------------------------------- what comes back

    def _tell_all(self, session: pytest.Session, runs: Sequence[Sequence[pytest.Item]], dispatch: Dispatch) -> None:
        here = [items[0] for items in runs if not _runs_elsewhere(items[0])]
        following = dict(zip(here, [*here[1:], None], strict=False))
        index = 0
        for items in runs:
            if items[0] in following:
                items[0].config.hook.pytest_runtest_protocol(item=items[0], nextitem=following[items[0]])
                _stop_where_asked(session)
                continue
            for _ in self._tell_run(items, dispatch.answer(index)):
                _stop_where_asked(session)
            index += 1

    def _tell_answered(self, runs: Sequence[Sequence[pytest.Item]], dispatch: Dispatch) -> None:
        """Tell of what has come by now, and has waited for what comes before it in the order of collection."""
        for index, items in enumerate(items for items in runs if _runs_elsewhere(items[0])):
            if dispatch.has_answer(index):
                list(self._tell_run(items, dispatch.answer(index)))

    def _tell_run(self, items: Sequence[pytest.Item], answer: Answer) -> Iterator[None]:
        """Tell of what an answer says, and yield after each check."""
        for warning in answer.warnings:
            self._config.hook.pytest_warning_recorded.call_historic(kwargs=_warning(warning))
        for item in items:
            assert isinstance(item, CheckItem)
            self._tell_check(item, answer)
            yield
        changed = self._config.pluginmanager.get_plugin(CHANGED)
        if changed is not None:
            changed.add_found_by(answer.host, items, answer.used)

    def _tell_check(self, item: CheckItem, answer: Answer) -> None:
        """Have pytest log the reports of a check as those of one that has run here."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item, answer):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _reports(self, item: CheckItem, answer: Answer) -> list[pytest.TestReport]:
        line = answer.reports.get(item.name)
        if line is None:
            return [_loss(item, answer.lost.get(item.name, f"{answer.host} has told nothing of it"))]
        try:
            plain = from_line(line)
        except Exception as error:  # another plugin's attribute of a report
            return [_loss(item, f"what {answer.host} has found can't be read here: {type(error).__name__}: {error}")]
        hook, reports = self._config.hook, []
        for data in plain:
            report = hook.pytest_report_from_serializable(config=self._config, data=dict(data))
            if hasattr(report, "archcheck"):
                report.archcheck = {**report.archcheck, "path": str(item.path)}  # where the file is on this machine
            reports.append(report)
        return reports

    def _tell(self, line: str) -> None:
        self._told.append(line)


def _runs_elsewhere(item: pytest.Item) -> bool:
    """Return whether an item is a check of a spec that can be read: what is wrong with others is known here."""
    return isinstance(item, CheckItem) and isinstance(item.parent, SpecModule) and item.parent.spec_file is not None


def _runs(items: Sequence[pytest.Item]) -> Iterator[list[pytest.Item]]:
    """Yield what is run together, in order: the checks of a spec, those that train or time by themselves."""

    def together(item: pytest.Item) -> object:
        return (item.parent, item.name in _TRAINING) if _runs_elsewhere(item) else item

    for _, group in groupby(items, together):
        yield list(group)


def _loss(item: CheckItem, why: str) -> pytest.TestReport:
    """Return the report of a check that nobody has told of: it failed."""

    def fail() -> NoReturn:
        raise CheckFailure(f"{item.loc}: not verified: {why}", item.loc, f"not verified: {why}")

    call = pytest.CallInfo.from_call(fail, when="call")
    # Not by the hook: other plugins expect that the check has been set up in this process.
    report = pytest.TestReport.from_item_and_call(item, call)
    attach(item, call, report)
    gathers = item.config.pluginmanager.get_plugin(REPORT)
    if gathers is not None:
        gathers.attach(item, call, report)
    return report


def _stop_where_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def _warning(plain: Mapping[str, Any]) -> dict[str, Any]:
    kind = getattr(builtins, plain["category"], Warning)
    message = warnings.WarningMessage(kind(plain["text"]), kind, plain["filename"], plain["lineno"])
    location = plain["location"]
    return {
        "warning_message": message, "when": plain["when"], "nodeid": plain["nodeid"],
        "location": tuple(location) if location is not None else None,
    }  # fmt: skip


def _paths_below(root: Path) -> list[str]:
    """Return the folders of the rootdir that modules are imported from, without those of environments."""
    paths = (Path(entry or os.curdir).absolute() for entry in sys.path)
    return [
        path.relative_to(root).as_posix()
        for path in paths
        if path.is_relative_to(root) and path.is_dir() and not {"site-packages", "dist-packages"} & set(path.parts)
    ]


def item_timeout_sec(config: pytest.Config) -> float | None:
    """Return how long a check may take; None: as long as it wants."""
    text = config.getoption("archcheck_item_timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise pytest.UsageError(f"--archcheck-item-timeout: expected a number of seconds above 0, found {text}")
    return seconds


def _refuse_other_options(config: pytest.Config) -> None:
    for is_on, option, why in (
        (config.getoption("numprocesses", None) or config.getoption("tx", None), "-n", "one of them distributes"),
        (config.getoption("archcheck_against"), "--archcheck-against", "nothing can be timed beside other checks"),
        (config.option.usepdb, "--pdb", "the checks are in other processes"),
    ):
        if is_on:
            raise pytest.UsageError(f"--archcheck-executor and {option} can't be used together: {why}")
