"""Processes that measure when they are asked to, and their end."""

from __future__ import annotations

import json
import os
import queue
import signal
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
from typing import Any

from archcheck.errors import ArchcheckError
from archcheck.findings import Keys
from archcheck.training.recipe import RecipeKind

PROTOCOL = 1
READY_SEC = 600.0  # to import torch, build, compile and warm up
LATE_SEC = 60.0  # and twenty times what a turn should take
LOOK_SEC = 0.5  # between two looks whether a silent process lives
LISTENER_SEC = 1.0
_MAIN = "from archcheck.throughput.worker import main; main()"

# glibc gives large blocks back to the system when they are freed, and gets them again, page by page, when the next
# activation needs one; how often depends on where blocks happen to lie. That made the same step differ by 7 % from
# process to process; with the memory kept it is 0.7 % (measured: benchmarks/README.md). Other systems ignore these.
MALLOC_SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # glibc takes no more
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
_MEASURES_COVERAGE = ("COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE", "COVERAGE_PROCESS_START")


class WorkerFailed(ArchcheckError):  # noqa: N818 - a finding about what was to be measured
    """A process that was to measure can't.

    kind: the error's class there. keys: the place in the spec that it's about. shown: the spec.
    """

    def __init__(self, message: str, kind: str = "", keys: Keys = (), shown: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.keys = keys
        self.shown = shown


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """What a process is to measure.

    work: keys of `throughput` that count instead of the spec's own.
    sys_path: where it imports from; the process's own where empty. cwd: where it runs.
    tree: the folder that its network's code is to come from. foreign: one that it must import nothing from.
    step: what a step has to be, in words. cpu: the processor that it stays on, where the system lets it choose.
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
        """As a line for the process to read."""
        return json.dumps(
            {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        )


class Worker:
    """One process. Starting it returns at once; `ready` waits for it.

    Raises (each method):
        WorkerFailed: it can't measure that, or has died, or hangs.
    """

    def __init__(self, request: WorkerRequest) -> None:
        self._request = request
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**os.environ, **MALLOC_SETTINGS, "PYTHONPATH": os.pathsep.join(request.sys_path or sys.path)}
        for name in _MEASURES_COVERAGE:
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            cwd=request.cwd, env=environment, text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._send(request.as_json())

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it's doing."""
        _kill(self._process)
        self._listener.join(LISTENER_SEC)
        pipes = [self._process.stdin, self._errors]
        if not self._listener.is_alive():  # or something that the network started, and that got away, holds its end
            pipes.append(self._process.stdout)
        for pipe in pipes:
            with suppress(OSError):  # what it held for the process has no reader any more
                if pipe is not None:
                    pipe.close()

    def ready(self) -> dict[str, Any]:
        """Wait until all is built and warm: `batch_size`, `first_step_sec`, `step_sec`."""
        protocol = self._receive(READY_SEC).get("protocol")
        if protocol != PROTOCOL:
            raise self._failure(f"its archcheck measures in another way (protocol {protocol}, not {PROTOCOL})", "Other")
        facts = self._receive(READY_SEC)
        if facts["wrong_code"]:
            raise self._failure(facts["wrong_code"], "Foreign")
        if self._request.step not in (None, facts["work"]):
            raise self._failure(f"a step is {facts['work']} there and {self._request.step} here", "Other")
        return facts

    def ask(self, command: str, argument: Any, expected_sec: float = READY_SEC) -> dict[str, Any]:
        """Have it do something, and wait for the answer."""
        self._send(json.dumps([command, argument]))
        return self._receive(LATE_SEC + 20 * expected_sec)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has died: told when its answer is waited for

    def _receive(self, seconds: float) -> dict[str, Any]:
        line = self._next_line(seconds)
        if not line:
            raise self._failure(self._obituary(), "Died")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._failure(answer["message"], answer["error"], tuple(answer.get("keys", ())))
        return answer

    def _next_line(self, seconds: float) -> str:
        """A line, empty where the process has ended: a fork of it may hold the pipe open all the same."""
        end = time.monotonic() + seconds
        while True:
            has_ended = self._process.poll() is not None
            try:
                return self._answers.get(timeout=0.1 if has_ended else LOOK_SEC)
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

    def _obituary(self) -> str:
        """How it ended, with the last line that it wrote."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        if status < 0:
            hint = "; was memory short?" if status == -9 else ""
            return f"{self._name} was killed by signal {-status}{hint}"
        return f"{self._name} ended with status {status}{last}"


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and, where it leads a session of its own, what it has started."""
    with suppress(OSError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


@contextmanager
def started_workers(*requests: WorkerRequest) -> Iterator[list[Worker]]:
    """Processes that start side by side, and end with the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(Worker(request)) for request in requests]
