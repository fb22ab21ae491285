"""Processes that measure, from their parent's side: real ones, on networks of six weights."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from archcheck.system.fork_server import ForkedProcess, NotForked
from archcheck.throughput.regression import workers
from archcheck.throughput.regression.workers import Worker, WorkerFailed, WorkerRequest, started_workers
from tests.preloaded import new_workers_preloaded

NETS = """
import os, signal, subprocess, sys, time
from torch import nn

class Chatty(nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        print("building")
        with open(os.path.join(folder, "pid"), "w") as file:
            file.write(str(os.getpid()))

    def forward(self, x):
        print("forward")
        os.write(1, b"and from C\\n")
        return self.fc(x)

class Raising(nn.Linear):
    def forward(self, x):
        raise ValueError("no such luck")

def exiting():
    print("last words", file=sys.stderr)
    os._exit(3)

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def spawning(folder):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(os.path.join(folder, "child"), "w") as file:
        file.write(str(child.pid))
    return nn.Linear(3, 2)

def forking(folder):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    with open(os.path.join(folder, "child"), "w") as file:
        file.write(str(child))
    os._exit(3)

def hanging():
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture(scope="module", params=["new", "forked"], autouse=True)
def _started(request: pytest.FixtureRequest) -> Iterator[None]:
    """The processes are new ones, and then forks of one that has imported torch."""
    if request.param == "forked":
        if not hasattr(os, "pidfd_open"):
            pytest.skip("nothing is forked on this system")
        yield
    else:
        with new_workers_preloaded():
            yield


def request_of(folder: Path, build: str, args: str = "{}") -> WorkerRequest:
    (folder / "nets.py").write_text(NETS, encoding="utf-8")
    spec = folder / f"{build}.arch.yaml"
    spec.write_text(
        f"build: nets.py:{build}\nargs: {args}\ninput: [B, 3]\n"
        "training: {dataset: d, batch_size: 9, quick: {batch_size: 4}}\n",
        encoding="utf-8",
    )
    return WorkerRequest(spec, f"specs/{spec.name}", rootdir=folder, kind="quick", device="cpu", num_threads=1)


def number_in(path: Path) -> int:
    """What a network has written there, as soon as it has."""
    return int(wait_for(lambda: path.exists() and path.read_text(encoding="utf-8")))


def wait_for(condition: Any, seconds: float = 30.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and only waits to be asked how is none."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:  # no /proc
        return not Path("/proc").is_dir()
    except ProcessLookupError:
        return False


# ------------------------------------------------------------------------------------------- one that works


class Chatty:
    def __init__(self, worker: Worker, facts: dict[str, Any], pid: int) -> None:
        self.worker, self.facts, self.pid = worker, facts, pid


@pytest.fixture(scope="module")
def chatty(_started: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatty]:
    """A process whose network prints wherever it can."""
    folder = tmp_path_factory.mktemp("chatty")
    with started_workers(request_of(folder, "Chatty", f"{{folder: {folder}}}")) as (worker,):
        yield Chatty(worker, worker.ready(), number_in(folder / "pid"))
    assert not is_running(number_in(folder / "pid"))


def test_it_is_forked_where_that_can_be(chatty: Chatty, request: pytest.FixtureRequest) -> None:
    is_forked = request.node.callspec.params["_started"] == "forked"
    assert isinstance(chatty.worker._process, ForkedProcess) == is_forked


def test_it_is_forked_whatever_threads_libraries_would_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    is_forked = request.node.callspec.params["_started"] == "forked"
    with started_workers(request_of(tmp_path, "Chatty", f"{{folder: {tmp_path}}}")) as (worker,):
        assert isinstance(worker._process, ForkedProcess) == is_forked


def test_a_process_tells_when_it_is_ready(chatty: Chatty) -> None:
    assert chatty.facts["batch_size"] == 4  # the quick recipe's
    assert chatty.facts["step_sec"] > 0
    assert chatty.facts["first_step_sec"] > 0
    assert chatty.facts["wrong_code"] == ""


def test_it_takes_steps_and_does_its_reference_as_often_as_asked(chatty: Chatty) -> None:
    assert chatty.worker.ask("step", 3)["seconds"] > 0
    prepared = chatty.worker.ask("prepare", None)
    assert prepared["step_sec"] > 0
    assert chatty.worker.ask("prepare", prepared["text"])["text"] == prepared["text"]
    assert chatty.worker.ask("reference", 3)["seconds"] > 0


def test_a_text_that_is_no_reference_is_a_problem_rather_than_an_end(chatty: Chatty) -> None:
    answer = chatty.worker.ask("prepare", "AAAA")
    assert answer["text"] is None
    assert answer["problem"].startswith("not a reference workload: ")
    assert chatty.worker.ask("step", 1)["seconds"] > 0


def test_ctrl_c_is_for_the_parent_to_hear(chatty: Chatty) -> None:
    os.kill(chatty.pid, signal.SIGINT)
    assert chatty.worker.ask("step", 1)["seconds"] > 0


def test_where_forks_fail_it_is_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoServer:
        def fork(self, *_: Any) -> Any:
            raise NotForked

    monkeypatch.setattr(workers, "_fork_server", lambda request: NoServer())
    with started_workers(request_of(tmp_path, "Chatty", f"{{folder: {tmp_path}}}")) as (worker,):
        assert worker.ready()["step_sec"] > 0
        assert not isinstance(worker._process, ForkedProcess)


# ------------------------------------------------------------------------------------------- those that don't


def test_a_network_that_raises_is_told_with_its_place(tmp_path: Path) -> None:
    message = r"^the forward pass raised ValueError: no such luck \(nets\.py:20\)$"
    args = "{in_features: 3, out_features: 2}"
    with Worker(request_of(tmp_path, "Raising", args)) as worker, pytest.raises(WorkerFailed, match=message) as raised:
        worker.ready()
    assert (raised.value.kind, raised.value.keys) == ("RunFailed", ("build",))
    assert raised.value.shown == "specs/Raising.arch.yaml"


@pytest.mark.parametrize(
    ("build", "end"),
    [("exiting", "ended with status 3: last words"), ("killed", "was killed by signal 9; was memory short?")],
)
def test_a_process_that_dies_is_told_with_how(tmp_path: Path, build: str, end: str) -> None:
    message = f"the process that measures specs/{build}.arch.yaml {end}"
    told = pytest.raises(WorkerFailed, match=f"^{re.escape(message)}$")
    with Worker(request_of(tmp_path, build)) as worker, told as raised:
        worker.ready()
    assert raised.value.kind == "Died"


def test_one_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archcheck.throughput.regression.workers.READY_SEC", 0.01)
    message = "the process that measures specs/hanging.arch.yaml gives no answer within 0 s"
    told = pytest.raises(WorkerFailed, match=f"^{re.escape(message)}$")
    with started_workers(request_of(tmp_path, "hanging")) as (worker,), told:
        worker.ready()


# ------------------------------------------------------------------------------------------- their end


def test_an_exception_in_the_block_ends_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def remember(*args: Any) -> Any:
        process = start(*args)
        pids.append(process.pid)
        return process

    start = workers._start
    monkeypatch.setattr(workers, "_start", remember)
    asked = request_of(tmp_path, "hanging")
    with pytest.raises(KeyError, match="out of the block"), started_workers(asked, asked):
        raise KeyError("out of the block")
    assert len(set(pids)) == 2
    assert not any(is_running(pid) for pid in pids)


PARENT = """
import sys
from pathlib import Path
from archcheck.throughput.regression.workers import WorkerRequest, started_workers

spec = Path(sys.argv[1])
with started_workers(WorkerRequest(spec, spec.name, None, "full", "cpu", 1)) as (worker,):
    worker.ready()
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_parent_that_is_killed_takes_its_process_along(tmp_path: Path) -> None:
    spec = request_of(tmp_path, "Chatty", f"{{folder: {tmp_path}}}").spec
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(spec)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        pid = number_in(tmp_path / "pid")
        assert is_running(pid)
        parent.kill()
    wait_for(lambda: not is_running(pid))


def test_what_a_network_has_started_ends_with_its_process(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with Worker(request_of(tmp_path, "spawning", f"{{folder: {tmp_path}}}")) as worker:
            worker.ready()
            child = number_in(tmp_path / "child")
            stack.callback(_end, child)
        wait_for(lambda: not is_running(child), 1.0)


def test_a_fork_that_outlives_its_process_is_not_waited_for(tmp_path: Path) -> None:
    # `close` waits for the thread that listens, as long as the fork lives (here until it is killed).
    folder = tmp_path
    script = textwrap.dedent(f"""
        from pathlib import Path
        from archcheck.throughput.regression import workers
        workers.READY_SEC = 60.0
        spec = Path({str(request_of(folder, "forking", f"{{folder: {folder}}}").spec)!r})
        with workers.started_workers(workers.WorkerRequest(spec, spec.name, None, "full", "cpu", 1)) as (worker,):
            try:
                worker.ready()
            except workers.WorkerFailed as failed:
                print(failed, flush=True)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        parent = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
        )
        stack.callback(parent.kill)
        stack.callback(_end, number_in(folder / "child"))
        assert parent.stdout is not None
        told = parent.stdout.readline()
        wait_for(lambda: parent.poll() is not None, 30.0)
    assert told == "the process that measures forking.arch.yaml ended with status 3\n"


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
