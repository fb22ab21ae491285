"""A host's side: the one function that is submitted, and the process in which it has pytest run the checks.

It is a process of its own, as a check may end it, or never end itself. It is kept for the next spec of the run, so that
torch is imported once. Each thread of a host has one of its own, and it ends with the host's process.
"""

from __future__ import annotations

import functools
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from archcheck.executors.checkout import digest_of_sources, digest_of_spec, find_root
from archcheck.executors.records import PROTOCOL, Answer, Request, RunSetup, own_versions
from archcheck.network.exceptions import line_of_dump, place_of_crash
from archcheck.system.processes import STACKS, describe_signal, end_process, environment_of, from_line, to_line
from archcheck.system.processors import num_cpus

POLL_SEC: Final = 0.2
STACKS_SEC: Final = 1.0  # that a process has to say where it is
ATTEMPTS: Final = 2  # of a check whose process has died, and of starting one
LOST_IN_A_ROW: Final = 2  # checks of a spec, after which the rest isn't run: it's what they share that ends them
_CODE: Final = "from archcheck.pytest_plugin.host_process import main; main()"

Event: TypeAlias = tuple[str, str, Any]  # its kind, the check that it's about, and what it tells


def run_spec(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Run checks of a spec on this host: the plain values of a `Request`, and of an `Answer` in return.

    It never raises: what does is the engine that carries the values.
    """
    try:
        if plain["setup"].get("protocol") != PROTOCOL:
            return _refusal(f"its archcheck isn't this one (protocol {PROTOCOL}): install the same version").to_plain()
        return _run(Request.from_plain(plain)).to_plain()
    except Exception as error:
        return _refusal(f"{type(error).__name__}: {error}").to_plain()


def end_processes() -> None:
    """End the processes that this one has started, whatever they do, and begin no others for their runs."""
    for process in list(_processes):
        _ended.add(process.setup.run)
        process.end()


def _refusal(why: str) -> Answer:
    return Answer(platform.node(), own_versions(), refused=why)


def _run(request: Request) -> Answer:
    root = find_root(request.setup.root, request.spec)
    if root is None:
        return _refusal(f"there is no {request.spec} in {request.setup.root}, nor where ARCHCHECK_ROOT says")
    why = _difference(root, request)
    if why:
        return _refusal(why)
    found = _Found(request)
    while found.left and request.setup.run not in _ended:
        process = _process_for(request.setup, root)
        try:
            for event in process.events(request.spec, found.left):
                found.add(event)
        except _Stopped as stopped:
            process.end()
            found.lose(str(stopped), is_final=stopped.is_final)
    return found.answer()


def _difference(root: Path, request: Request) -> str:
    """Say in what this host's checkout is another; empty where it's the same."""
    setup = request.setup
    here = _sources_here(root, setup)
    if here != setup.sources:
        return f"its sources in {root} differ (digest {here}, {setup.sources} where the run was started)"
    spec = digest_of_spec(root / request.spec)
    if spec != request.digest:
        return f"its {request.spec} or the lock differs (digest {spec}, {request.digest} where the run was started)"
    return ""


@functools.lru_cache(maxsize=8)
def _sources_of_run(root: Path, run: str, unread: tuple[str, ...]) -> str:
    del run  # another run may find other sources
    return digest_of_sources(root, unread)


def _sources_here(root: Path, setup: RunSetup) -> str:
    with _looking:  # not in every thread at once
        return _sources_of_run(root, setup.run, tuple(setup.unread))


class _Found:
    """What is known so far of the checks of a request. A check that has begun and ended nothing is tried once more."""

    def __init__(self, request: Request) -> None:
        self.left = list(request.checks)
        self._reports: dict[str, str] = {}
        self._warnings: list[Any] = []
        self._lost: dict[str, str] = {}
        self._used: list[Any] = []
        self._refused = ""
        self._begun = ""
        self._losses: Counter[str] = Counter()
        self._in_a_row: list[str] = []

    def add(self, event: Event) -> None:
        kind, check, told = event
        if kind == "begin":
            self._begun = check
        elif kind == "end":
            self._reports[check], warnings = told
            self._warnings += warnings
            self.left.remove(check)
            self._begun = ""
            self._in_a_row = []
        elif kind == "lost":
            self._lost[check] = told
        elif kind == "done":
            self._used += told
        else:
            self._refused, self.left = told, []

    def lose(self, why: str, *, is_final: bool) -> None:
        """Take note that the process has died with the check that it had begun, or before it had begun one."""
        if not self.left:  # it has said why
            return
        check, self._begun = self._begun, ""
        self._losses[check] += 1
        # Where one was lost for good, the network is likely to end the process in any other, too.
        if not (is_final or self._lost) and self._losses[check] < ATTEMPTS:
            return
        if not check:
            self._refused, self.left = f"pytest can't be started there: {why}", []
            return
        self._lost[check] = why
        self.left.remove(check)
        self._in_a_row.append(check)
        if len(self._in_a_row) == LOST_IN_A_ROW:
            rest = f"not run, as {' and '.join(self._in_a_row)}, one after the other, got no answer ({why})"
            self._lost.update(dict.fromkeys(self.left, rest))
            self.left = []

    def answer(self) -> Answer:
        reports = {name: told for name, told in self._reports.items() if name not in self._lost}
        return Answer(platform.node(), own_versions(), reports, self._warnings, self._lost, self._used, self._refused)


class _Stopped(Exception):  # noqa: N818 - a verdict, not a fault
    """A process died, or was too slow; `is_final` says that it would be once more."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


class HostProcess:
    """A process that runs pytest for one run; the constructor starts it without waiting."""

    def __init__(self, setup: RunSetup, root: Path) -> None:
        self.setup = setup
        self._root = root
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        paths = [*(str(root / folder) for folder in setup.sys_path), *sys.path]
        variables = {"PYTHONPATH": os.pathsep.join(paths)}
        if setup.share > 1 and "OMP_NUM_THREADS" not in os.environ:
            variables["OMP_NUM_THREADS"] = str(max(1, num_cpus() // setup.share))
        before = {name: os.environ.get(name) for name in variables}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            cwd=root / setup.cwd, env=environment_of(variables), text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        self._events: queue.Queue[Event | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._send((setup, before))
        _processes.append(self)
        if setup.run in _ended:
            self.end()

    @property
    def is_alive(self) -> bool:
        """Return whether it can be asked for more: it ends when nobody has asked for a while."""
        return self._process.poll() is None

    def events(self, spec: str, checks: list[str]) -> Iterator[Event]:
        """Have checks of a spec run, and yield what happens until the last one is through.

        Raises:
            _Stopped: the process has died, or a check takes too long.
        """
        self._send((spec, list(checks)))
        begun: float | None = None
        while True:
            event = self._next(begun)
            begun = {"begin": time.monotonic(), "end": None}.get(event[0], begun)
            yield event
            if event[0] == "done":
                return

    def end(self) -> None:
        """Kill it, and what it has started."""
        with suppress(ValueError):
            _processes.remove(self)
        end_process(self._process)
        for pipe in (self._process.stdin, self._errors):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died, which the next event tells
            self._process.stdin.write(to_line(value))
            self._process.stdin.flush()

    def _next(self, begun: float | None) -> Event:
        limit = self.setup.item_timeout_sec
        while True:
            has_ended = self._process.poll() is not None
            with suppress(queue.Empty):
                event = self._events.get(timeout=POLL_SEC)
                if event is None:
                    raise _Stopped(self._describe_end())
                return event
            if has_ended:  # a process that it has started still holds the pipe
                raise _Stopped(self._describe_end())
            if limit is not None and begun is not None and time.monotonic() - begun > limit:
                at = self._place_in(self._stacks())
                raise _Stopped(f"it took longer than {limit:g} s (--archcheck-item-timeout){at}", is_final=True)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._events.put(from_line(line))
        self._events.put(None)

    def _describe_end(self) -> str:
        status, errors = self._process.wait(), self._written()
        if status < 0:
            return f"the process that ran it {describe_signal(status)}{place_of_crash(errors, self._root)}"
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        return f"the process that ran it ended with status {status}{f': {lines[-1]}' if lines else ''}"

    def _written(self, start: int = 0) -> str:
        """Return what the process has written to standard error; where it goes on, that's lost."""
        self._errors.seek(start)  # which is the process's place in the file, too
        return self._errors.read().decode("utf-8", "replace")

    def _stacks(self) -> str:
        """Have the process write its stacks, before it's killed; nothing where it doesn't, as where it's stopped."""
        before = os.fstat(self._errors.fileno()).st_size
        if STACKS is None:
            return ""
        self._process.send_signal(STACKS)
        size, end = before, time.monotonic() + STACKS_SEC
        while time.monotonic() < end:
            time.sleep(STACKS_SEC / 10)
            last, size = size, os.fstat(self._errors.fileno()).st_size
            if size == last > before:  # it's through
                break
        return self._written(before)

    def _place_in(self, stacks: str) -> str:
        place = line_of_dump(stacks, self._root)
        return "" if place is None else f" at {place}"


def _process_for(setup: RunSetup, root: Path) -> HostProcess:
    """Return the process of this thread for a run; that of another run is ended."""
    process: HostProcess | None = getattr(_own, "process", None)
    if process is not None and process.setup == setup and process.is_alive:
        return process
    if process is not None:
        process.end()
    _own.process = process = HostProcess(setup, root)
    return process


_own = threading.local()
_looking = threading.Lock()
_processes: list[HostProcess] = []
_ended: set[str] = set()
