"""Processes that are forked from one which has imported modules: they behave as new ones, and end as these do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from archcheck.system.fork_server import ForkedProcess, ForkServer, NotForked

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="nothing is forked on this system")

MODULE = """
import json, os, signal, subprocess, sys, threading, time

IMPORTED_IN = os.getpid()

def tell():
    found = {
        "imported in": IMPORTED_IN, "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(), "argv": sys.argv,
        "color": os.environ.get("COLOR"), "size": os.environ.get("SIZE"), "asked": sys.stdin.readline(),
    }
    print(json.dumps(found), flush=True)
    sys.stdin.read()

def exit_with_3():
    print("last words", file=sys.stderr)
    os._exit(3)

def stop():
    os.kill(os.getpid(), signal.SIGTERM)

def fail():
    raise ValueError("no such luck")

def start_another():
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(60)
"""

THREADED = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"


class Server:
    """A server of a folder's modules, with a file for what its processes write to standard error."""

    def __init__(self, folder: Path, module: str, errors: IO[Any]) -> None:
        self.errors = errors
        self.server = ForkServer([module], {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "SIZE": "small"})

    def fork(self, name: str, cwd: Path | None = None, **variables: str) -> ForkedProcess:
        return self.server.fork(f"told:{name}", self.errors, cwd, variables)

    def error_text(self) -> str:
        self.errors.seek(0)
        return bytes(self.errors.read()).decode()


@contextlib.contextmanager
def serving(folder: Path, module: str = "told", text: str = MODULE) -> Iterator[Server]:
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    with tempfile.TemporaryFile() as errors:
        server = Server(folder, module, errors)
        yield server
        server.server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("told")) as started:
        yield started


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return False


def wait_until_ended(pid: int) -> None:
    ends = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def test_a_fork_has_what_was_imported_and_otherwise_what_was_asked_for(server: Server, tmp_path: Path) -> None:
    first, second = server.fork("tell", COLOR="red"), server.fork("tell", tmp_path)
    told = []
    for process, text in ((second, "b"), (first, "a")):
        process.stdin.write(f"{text}\n")
        process.stdin.flush()
        told.append(json.loads(process.stdout.readline()))
        process.end()
    assert [one["asked"] for one in told] == ["b\n", "a\n"]
    assert [one["pid"] for one in told] == [second.pid, first.pid]
    assert [one["session"] for one in told] == [second.pid, first.pid]
    assert [one["cwd"] for one in told] == [str(tmp_path.resolve()), os.getcwd()]
    assert [one["color"] for one in told] == [os.environ.get("COLOR"), "red"]
    assert [one["argv"] for one in told] == [["-c"], ["-c"]]  # as that of a new process that runs `-c`
    assert told[0]["imported in"] == told[1]["imported in"] not in (first.pid, second.pid, os.getpid())


@pytest.mark.parametrize(("name", "status"), [("exit_with_3", 3), ("stop", -signal.SIGTERM), ("fail", 1)])
def test_the_status_of_one_that_has_ended_is_that_of_a_new_process(server: Server, name: str, status: int) -> None:
    process = server.fork(name)
    assert process.wait() == status
    assert process.poll() == process.wait() == status
    process.end()


def test_what_it_raises_is_on_standard_error(tmp_path: Path) -> None:
    with serving(tmp_path) as own:
        process = own.fork("fail")
        process.wait()
        process.end()
        assert own.error_text().splitlines()[-1] == "ValueError: no such luck"


def test_one_that_runs_has_no_status(server: Server) -> None:
    process = server.fork("tell")
    assert process.poll() is None
    process.end()
    assert not is_running(process.pid)


def test_what_it_has_started_ends_with_it(server: Server) -> None:
    process = server.fork("start_another")
    child = int(process.stdout.readline())
    assert is_running(child)
    process.end()
    assert not is_running(process.pid)
    wait_until_ended(child)


def test_it_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(MODULE, encoding="utf-8")
    script = (
        "import os, sys, tempfile\nfrom archcheck.system.fork_server import ForkServer\n"
        "server = ForkServer(['told'], {'PYTHONPATH': os.pathsep.join(sys.path)})\n"
        "process = server.fork('told:start_another', tempfile.TemporaryFile(), None, {})\n"
        "print(process.pid, process.stdout.readline().strip(), server._process.pid, flush=True)\nsys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    asking = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    with asking:
        assert asking.stdout is not None
        pids = [int(pid) for pid in asking.stdout.readline().split()]
        assert all(map(is_running, pids))
        asking.kill()
    for pid in pids:
        wait_until_ended(pid)


@pytest.mark.parametrize(("module", "text"), [("threaded", THREADED), ("broken", "raise ImportError('no')")])
def test_what_cannot_be_forked_is_refused(tmp_path: Path, module: str, text: str) -> None:
    # A lock that another thread holds would be held for ever in a fork.
    with serving(tmp_path, module, text) as own, pytest.raises(NotForked):
        own.fork("tell")


def test_a_server_that_has_ended_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as own:
        own.server._process.kill()
        own.server._process.wait()
        num_open = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(NotForked):
                own.fork("tell")
        assert len(os.listdir("/proc/self/fd")) == num_open
