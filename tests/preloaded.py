"""Processes that are forks of one which has imported torch and archcheck, and has done nothing else."""

from __future__ import annotations

import gc
import json
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import multiprocessing.resource_sharer
import multiprocessing.util
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import IO, Any

import pytest

import archcheck

# torch imports torch._dynamo when the first optimizer is made, which takes as long again.
MODULES = [
    "torch", "torch._dynamo", *(module.name for module in pkgutil.walk_packages(archcheck.__path__, "archcheck.")),
]  # fmt: skip
# All of it is imported here, as pytester makes modules forgotten that a run inside a test has imported first: each run
# would start another one to fork.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(MODULES)
# The process that forks listens in this folder, which is chosen once: later a test may have a temporary folder of its
# own, whose name is too long for a socket.
multiprocessing.util.get_temp_dir()


class PreloadedPopen:
    """Runs `python [-P] -c CODE`, `python -m MODULE` or `python FILE`, with what tests and archcheck need of `Popen`.

    What an interpreter reads when it starts, such as the settings of malloc in the environment, has no effect.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        text: bool = True,
        encoding: str = "utf-8",
        start_new_session: bool = False,
    ) -> None:
        self.args, self.stdin, self.stdout = command, None, None
        theirs = [_duplicate(stdin, 0), _duplicate(stdout, 1)]
        if stdin == subprocess.PIPE:
            theirs[0], ours = os.pipe()
            self.stdin = os.fdopen(ours, "w", encoding=encoding)
        if stdout == subprocess.PIPE:
            ours, theirs[1] = os.pipe()
            self.stdout = os.fdopen(ours, encoding=encoding)
        theirs.append(os.dup(theirs[1]) if stderr == subprocess.STDOUT else _duplicate(stderr, 2))
        runs, says_so = os.pipe()
        theirs.append(says_so)
        self._process = CONTEXT.Process(
            target=_run,
            args=(
                [_Stream(one) for one in theirs], list(command[1:]), str(cwd or Path.cwd()),
                dict(os.environ if env is None else env), start_new_session, _initial_path(),
            ),
        )  # fmt: skip
        self._process.start()
        for one in theirs:
            os.close(one)
        os.read(runs, 1)  # `Popen` returns when the program runs, too: it then leads the session that signals go to
        os.close(runs)

    def __enter__(self) -> PreloadedPopen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                pipe.close()
        self.wait()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self._process.exitcode

    def communicate(self, input: str = "", timeout: float | None = None) -> tuple[str, None]:  # noqa: A002 - as there
        """Write to its standard input. Return all that it writes to standard output, once it has ended."""
        assert self.stdout is not None
        if self.stdin is not None:
            self.stdin.write(input)
            self.stdin.close()
        watchdog = threading.Timer(timeout, self.kill) if timeout is not None else None
        if watchdog is not None:
            watchdog.start()
        output = self.stdout.read()
        self.wait(timeout)
        if watchdog is not None:
            watchdog.cancel()
        return output, None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def new_workers_preloaded() -> Iterator[None]:
    """Have processes that measure start as these do, inside: none is forked by archcheck's own server."""
    starting = SimpleNamespace(PIPE=subprocess.PIPE, Popen=PreloadedPopen)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("archcheck.throughput.regression.workers.subprocess", starting)
        monkeypatch.setattr("archcheck.throughput.regression.workers._fork_server", lambda request: None)
        yield


def _duplicate(stream: int | IO[Any] | None, default: int) -> int:
    """Return a copy of a stream's file descriptor, that of this process where none is given."""
    if stream is None or (isinstance(stream, int) and stream < 0):
        return os.dup(default)
    return os.dup(stream if isinstance(stream, int) else stream.fileno())


class _Stream:
    """A file descriptor on its way into another process, where it is a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.number),)


def _received(stream: Any) -> int:
    number: int = stream.detach()
    return number


@cache
def _initial_path() -> list[str]:
    """Return the `sys.path` of an interpreter that has just started; this one's has what the tests need, too."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import json, sys; print(json.dumps(sys.path))"
    path: list[str] = json.loads(subprocess.check_output([sys.executable, "-P", "-c", code], env=env))
    return path


def _run(
    streams: Sequence[int],
    command: list[str],
    cwd: str,
    env: Mapping[str, str],
    new_session: bool,
    initial_path: list[str],
) -> None:
    """Become what an interpreter is that runs this command."""
    *standard, says_so = streams
    for number, stream in enumerate(standard):
        os.dup2(stream, number)
        os.close(stream)
    if new_session:
        os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # it goes by the environment, unless it is known already
    encoding = env.get("PYTHONIOENCODING")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115 - for good
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.freeze()  # what is imported stays: pytest's collections of garbage needn't look through it
    os.write(says_so, b"x")
    os.close(says_so)
    sys.path[:] = [*filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *initial_path]
    try:
        _execute(command, cwd)
    finally:
        # As an interpreter does at its end: what waits for a pool's processes tells these to end before multiprocessing
        # closes their queues. It does so first in a process of its own.
        threading._shutdown()  # type: ignore[attr-defined]


def _execute(command: Sequence[str], cwd: str) -> None:
    """Run what follows `python` on a command line."""
    safe_path = command[0] == "-P"
    kind, *arguments = command[safe_path:]
    is_file = kind not in ("-c", "-m")
    if not safe_path:
        sys.path.insert(0, str(Path(kind).resolve().parent) if is_file else cwd)
    sys.argv = [kind, *arguments[not is_file :]]
    if kind == "-c":
        exec(compile(arguments[0], "<string>", "exec"), {"__name__": "__main__"})
    elif kind == "-m":
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(kind, run_name="__main__")
