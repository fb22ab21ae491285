"""Worker processes that time steps on request: starting, asking and ending them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from archcheck.errors import ArchcheckError
from archcheck.findings import Keys
from archcheck.network.exceptions import place_of_crash
from archcheck.system.audit import tell_unseen
from archcheck.system.fork_server import ForkedProcess, ForkServer, NotForked
from archcheck.system.processes import describe_signal, end_process, environment_of
from archcheck.training.recipe import RecipeKind

PROTOCOL = 1
READY_SEC = 600.0  # to import torch, build, compile and warm up
ANSWER_SEC = 60.0  # and twenty times what a turn should take
POLL_SEC = 0.5  # between two checks whether a silent process is alive
LISTENER_SEC = 1.0
MAX_SERVERS = 2  # one for each side
_WORKER_MAIN = "archcheck.throughput.worker:main"
_WORKER_CODE = "from archcheck.throughput.worker import main; main()"
# numpy's OpenBLAS starts threads when it's imported, and beside threads nothing is forked.
_WITHOUT_THREADS = {"OPENBLAS_NUM_THREADS": "1"}
# What a worker imports before it measures; torch takes the second from the first step of an optimizer.
_PRELOADED = (
    "torch", "torch._dynamo", "archcheck.throughput.worker", "archcheck.throughput.reference_workload",
    "archcheck.throughput.workload",
)  # fmt: skip

# glibc returns large blocks to the system when they are freed, and gets them again, page by page, for the next
# activation; how often depends on where blocks happen to lie. That made the same step differ by 7 % from
# process to process; where it keeps the memory, by 0.7 % (measured: benchmarks/README.md). Other systems ignore these.
MALLOC_SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


class WorkerFailed(ArchcheckError):  # noqa: N818 - a finding about what was to be measured
    """A worker process can't measure a spec.

    kind: the class of the error in the worker; `WrongCode`, `OtherWork`, `Died` or `Hangs` where the parent found it.
    keys: the place in the spec that it's about. shown: the spec.
    """

    def __init__(self, message: str, kind: str = "", keys: Keys = (), shown: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.keys = keys
        self.shown = shown


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """A request to a worker process. The names of the fields are the keys of the protocol.

    work: keys of `throughput` that replace the spec's own; see `SpeedPlan.workload_keys`.
    sys_path: where the worker imports from; empty: as this process. cwd: its current folder.
    tree: the working tree that the network's code has to come from. foreign: one that it must import nothing from.
    step: what a step has to be, in words; None: anything. cpu: the processor to stay on; None: any.
    """

    spec: Path
    shown: str
    rootdir: Path | None
    kind: RecipeKind
    device: str
    num_threads: int | None
    work: Mapping[str, Any] | None = None
    sys_path: Sequence[str] = ()
    cwd: Path | None = None
    tree: Path | None = None
    foreign: Path | None = None
    step: str | None = None
    cpu: int | None = None

    def as_json(self) -> str:
        """Return the request as a line of the protocol."""
        return json.dumps(
            {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        )


class Worker:
    """A worker process. The constructor starts it without waiting; `ready` waits for it.

    Raises (each method):
        WorkerFailed: it can't measure the spec, has died, or hangs.
    """

    def __init__(self, request: WorkerRequest) -> None:
        self._request = request
        tell_unseen("it is measured in processes of its own")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = _start(request, self._errors)
        self._answers: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._send(request.as_json())

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if isinstance(self._process, ForkedProcess):
            self._process.end()
        else:
            end_process(self._process)
        self._listener.join(LISTENER_SEC)
        pipes = [self._process.stdin, self._errors]
        if not self._listener.is_alive():  # else a process that the network started still holds the other end
            pipes.append(self._process.stdout)
        for pipe in pipes:
            with suppress(OSError):  # its buffer has no reader any more
                if pipe is not None:
                    pipe.close()

    def ready(self) -> dict[str, Any]:
        """Wait until the workload is built and warm; return `batch_size`, `first_step_sec` and `step_sec`."""
        protocol = self._receive(READY_SEC).get("protocol")
        if protocol != PROTOCOL:
            raise self._failure(
                f"its archcheck measures in another way (protocol {protocol}, not {PROTOCOL})", "OtherWork"
            )
        facts = self._receive(READY_SEC)
        if facts["wrong_code"]:
            raise self._failure(facts["wrong_code"], "WrongCode")
        if self._request.step not in (None, facts["work"]):
            raise self._failure(f"a step is {facts['work']} there and {self._request.step} here", "OtherWork")
        return facts

    def ask(self, command: str, argument: Any, expected_sec: float = READY_SEC) -> dict[str, Any]:
        """Send a command, and wait for the answer."""
        self._send(json.dumps([command, argument]))
        return self._receive(ANSWER_SEC + 20 * expected_sec)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has died, which `_receive` reports

    def _receive(self, seconds: float) -> dict[str, Any]:
        line = self._next_line(seconds)
        if not line:
            raise self._failure(self._describe_exit(), "Died")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._failure(answer["message"], answer["error"], tuple(answer.get("keys", ())))
        return answer

    def _next_line(self, seconds: float) -> str:
        """Return the next line; empty where the process has ended, as a fork of it may still hold the pipe open."""
        end = time.monotonic() + seconds
        while True:
            has_ended = self._process.poll() is not None
            try:
                return self._answers.get(timeout=0.1 if has_ended else POLL_SEC)
            except queue.Empty:
                if has_ended:
                    return ""
            if time.monotonic() > end:
                raise self._failure(f"{self._name} gives no answer within {seconds:.0f} s", "Hangs")

    def _failure(self, message: str, kind: str, keys: Keys = ()) -> WorkerFailed:
        return WorkerFailed(message, kind, keys, self._request.shown)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._answers.put(line)
        except ValueError:
            pass  # closed
        self._answers.put("")

    @property
    def _name(self) -> str:
        return f"the process that measures {self._request.shown}"

    def _describe_exit(self) -> str:
        """Describe how the process ended, with the last line that it wrote to standard error."""
        status = self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read().decode("utf-8", "replace")
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        if status < 0:
            root = self._request.tree or self._request.rootdir or Path.cwd()
            return f"{self._name} {describe_signal(status)}{place_of_crash(errors, root)}"
        return f"{self._name} ended with status {status}{last}"


def _start(request: WorkerRequest, errors: IO[Any]) -> subprocess.Popen[str] | ForkedProcess:
    """Start a process for a request: forked from one that has imported torch where that can be had, or a new one."""
    variables = _variables_of(request)
    server = _fork_server(request)
    if server is not None:
        with suppress(NotForked):
            return server.fork(_WORKER_MAIN, errors, request.cwd, variables)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _WORKER_CODE],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        cwd=request.cwd, env=environment_of(variables), text=True, encoding="utf-8", start_new_session=True,
    )  # fmt: skip


def _variables_of(request: WorkerRequest) -> dict[str, str]:
    return {**MALLOC_SETTINGS, "PYTHONPATH": os.pathsep.join(request.sys_path or sys.path)}


_servers: dict[frozenset[tuple[str, str]], ForkServer] = {}


def _fork_server(request: WorkerRequest) -> ForkServer | None:
    """Return a server with the environment and import path of a request, without waiting for it; None without forks.

    Accelerators are left to new processes: their libraries may not survive a fork.
    """
    if request.device != "cpu" or not hasattr(os, "pidfd_open"):
        return None
    variables = _variables_of(request)
    environment = environment_of(variables)
    environment.pop("PYTEST_CURRENT_TEST", None)
    key = frozenset(environment.items())
    if key not in _servers:
        while len(_servers) >= MAX_SERVERS:
            _servers.pop(next(iter(_servers))).close()
        try:
            _servers[key] = ForkServer(_PRELOADED, {**variables, **_WITHOUT_THREADS})
        except OSError:  # no more processes, or no memory
            return None
    return _servers[key]


@contextmanager
def started_workers(*requests: WorkerRequest) -> Iterator[list[Worker]]:
    """Start worker processes at the same time, and end them with the block."""
    for request in requests:
        _fork_server(request)  # each waits for its server, and both servers import at the same time
    with ExitStack() as stack:
        yield [stack.enter_context(Worker(request)) for request in requests]
