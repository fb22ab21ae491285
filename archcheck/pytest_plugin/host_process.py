"""The main function of a process that runs pytest for one run, spec by spec; `executors.host` is the parent's side.

pytest is started once, as on the machine that collects: its plugins, ini file and conftest files are those of the
checkout here. It collects nothing by itself: a spec is collected when its turn comes. What one process of a run does
(choosing what runs, reports, updates) is left to that one. The session is never finished, as that's when plugins write
their files.

The process ends when standard input does, so that it never outlives its parent, and when it isn't asked for long.
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import warnings
from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import pytest

from archcheck.executors.records import RunSetup
from archcheck.pytest_plugin.changed import WATCH_KEY
from archcheck.pytest_plugin.workers import CHANGED, HOST_KEY, SHARE_KEY
from archcheck.system.processes import from_line, take_pipes, tell_stacks, to_line

IDLE_SEC: Final = 60.0
# archcheck, which is a plugin, starts pytest here: where warnings are errors, that would be one.
_KNOWN: Final = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
# What the process that collects decides, and the files that it alone writes: of pytest, and of widespread plugins.
_DECIDED: Final[dict[str, object]] = {
    "archcheck_shard": None, "archcheck_durations": None,
    "maxfail": 0, "lf": False, "failedfirst": False, "newfirst": False, "stepwise": False,
    "usepdb": False, "trace": False, "xmlpath": None, "htmlpath": None, "report_log": None, "json_report": False,
    "cov_source": [], "no_cov": True,
}  # fmt: skip


def main() -> None:
    """Run pytest until the parent closes the pipe."""
    requests, answers = take_pipes()
    tell_stacks()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what pytest writes to its terminal
    waiting: queue.Queue[Any] = queue.Queue()
    setup, variables = from_line(requests.readline())
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    status = pytest.main(
        [*setup.args, "--archcheck", "-W", _KNOWN], plugins=[HostSession(setup, variables, waiting, answers)]
    )
    sys.stderr.flush()
    os._exit(int(status))  # without waiting for threads of a network


def _listen(requests: IO[str], waiting: queue.Queue[Any]) -> None:
    for line in requests:
        waiting.put(from_line(line))
    os._exit(0)  # the parent is gone


class HostSession:
    """The hooks that turn pytest into a worker that takes one spec after the other.

    variables: those of the environment that were set for this process, as they were before; None where there were none.
    """

    def __init__(
        self, setup: RunSetup, variables: Mapping[str, str | None], waiting: queue.Queue[Any], answers: IO[str]
    ) -> None:
        self._setup, self._variables, self._waiting, self._answers = setup, variables, waiting, answers
        self._asked = Path()  # the spec whose checks are asked for
        self._check = ""
        self._reports: list[Any] = []  # of the check that runs
        self._warnings: list[Any] = []
        self._config: pytest.Config | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Take back what is decided where the run was started."""
        self._config = config
        for name, value in _DECIDED.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        if self._setup.randomly_seed is not None:
            config.option.randomly_seed = self._setup.randomly_seed
        config.stash[HOST_KEY] = True
        config.stash[SHARE_KEY] = self._setup.share
        config.option.pythonwarnings = [one for one in config.option.pythonwarnings if one != _KNOWN] or None
        if WATCH_KEY in config.stash:
            config.stash[WATCH_KEY].surroundings.set_variables(self._variables)
        config.args_source = pytest.Config.ArgsSource.ARGS
        config.args[:] = [self._next_path()]

    def pytest_internalerror(self, excrepr: object) -> None:
        """Tell the parent: nobody sees this terminal."""
        self._send("refused", "", f"pytest failed there: {str(excrepr).splitlines()[-1]}")

    def _next_path(self) -> str:
        """Wait for the first spec, and leave it where it is."""
        first = self._waiting.get()
        self._waiting.queue.appendleft(first)
        return str(self._path(first[0]))

    def _path(self, spec: str) -> Path:
        assert self._config is not None
        return self._config.rootpath / spec

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        """Collect nothing yet."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what is asked for."""
        import archcheck.structure.trace  # noqa: F401

        gc.freeze()  # what torch has imported stays until the end
        while True:
            try:
                spec, checks = self._waiting.get(timeout=IDLE_SEC)
            except queue.Empty:
                os._exit(0)
            self._run(session, self._path(spec), checks)
            changed = session.config.pluginmanager.get_plugin(CHANGED)
            self._send("done", "", [] if changed is None else [changed.take_found().to_plain()])

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Have a folder collect what is asked for alone: pytest would look at all that lies beside it each time."""
        if isinstance(collector, pytest.Dir | pytest.Package):
            collector.collect = partial(self._asked_of, collector)  # type: ignore[method-assign]
        return (yield)

    def _asked_of(self, folder: pytest.Directory) -> list[pytest.Collector]:
        path = folder.path / self._asked.relative_to(folder.path).parts[0]
        if path == self._asked:
            return list(folder.ihook.pytest_collect_file(file_path=path, parent=folder))
        return [folder.ihook.pytest_collect_directory(path=path, parent=folder)]

    def _run(self, session: pytest.Session, path: Path, checks: list[str]) -> None:
        self._asked = path
        try:
            collected = {item.name: item for item in session.perform_collect([str(path)])}
        except pytest.UsageError as error:
            self._send("refused", "", str(error))
            return
        absent = [name for name in checks if name not in collected]
        if absent:
            self._send("refused", "", f"pytest collects no {', '.join(absent)} of it there")
            return
        for number, name in enumerate(checks):
            item = collected[name]
            following = collected[checks[number + 1]] if number + 1 < len(checks) else None
            self._check, self._reports, self._warnings = name, [], []
            self._send("begin", name, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._check = ""
            self._send_found(name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report of the check that runs."""
        assert self._config is not None
        plain = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reports.append(plain)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        """Keep a warning of the check that runs; those of starting up are told where the run was started."""
        if not self._check:
            return
        told = {
            "text": str(warning_message.message), "category": warning_message.category.__name__,
            "filename": warning_message.filename, "lineno": warning_message.lineno,
            "when": when, "nodeid": nodeid, "location": location,
        }  # fmt: skip
        self._warnings.append(told)

    def _send_found(self, check: str) -> None:
        """Send what a check has found, at once: each event that is sent wakes threads of the parent."""
        try:
            self._send("end", check, (to_line(self._reports), self._warnings))
        except Exception as error:  # another plugin's attribute of a report
            self._send("lost", check, f"what it found can't be sent: {type(error).__name__}: {error}")
            self._send("end", check, ("", []))

    def _send(self, kind: str, check: str, told: Any) -> None:
        self._answers.write(to_line((kind, check, told)))
        self._answers.flush()
