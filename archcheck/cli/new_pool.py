"""Specs made in processes of their own: a network that ends its process takes no other one along."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from archcheck.cli.new_tasks import Made, Task
from archcheck.network.exceptions import CRASH, place_of_crash
from archcheck.system.processes import describe_signal, end_process, environment_of, from_line, to_line
from archcheck.system.processors import num_cpus

TICK_SEC: Final = 0.5
_CODE: Final = "from archcheck.cli.new_process import main; main()"
_TARGETS_PER_PROCESS: Final = 4  # importing torch takes as long as a few small networks
_KILLED: Final = -9


def default_num_jobs(num_tasks: int) -> int:
    """Return in how many processes so many specs are made: one for each processor, and a few specs for each."""
    return max(1, min(num_cpus(), num_tasks // _TARGETS_PER_PROCESS))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a task in another process, and what that wrote to standard error meanwhile.

    `made` is None while it still works on it.
    """

    index: int
    made: Made | None = None
    text: str = ""


class _Process:
    """A process that makes specs; what it answers goes to a queue, and None when it ends."""

    def __init__(self, num_threads: int, answers: queue.Queue[tuple[_Process, str | None]]) -> None:
        self._errors = tempfile.NamedTemporaryFile(prefix="archcheck-", buffering=0)  # noqa: SIM115 - closed below
        self._reader = open(self._errors.name, encoding="utf-8", errors="replace", newline="")  # noqa: SIM115
        self._answers = answers
        self.index: int | None = None
        environment = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": str(num_threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            env=environment_of(environment), text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        end_process(self._process)
        for one in (self._process.stdin, self._reader, self._errors):
            with suppress(OSError):
                if one is not None:
                    one.close()

    def start(self, index: int, task: Task) -> None:
        """Have it work on a task."""
        self.index = index
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died, which it says by itself
            self._process.stdin.write(to_line(task))
            self._process.stdin.flush()

    def errors(self) -> str:
        """Return what it wrote to standard error since it was asked last."""
        return self._reader.read()

    def exit_status(self) -> int:
        """Return how it ended."""
        return self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):  # closed
            for line in self._process.stdout:
                self._answers.put((self, line))
        self._answers.put((self, None))


class Pool:
    """Makes specs in several processes at a time.

    One that found too little memory beside the others, or was killed, is made once more when these are through.
    """

    def __init__(self, tasks: Sequence[Task], num_jobs: int) -> None:
        self._tasks = tasks
        self._num_jobs = num_jobs
        self._waiting = deque(range(len(tasks)))
        self._alone: deque[int] = deque()
        self._answers: queue.Queue[tuple[_Process, str | None]] = queue.Queue()

    def answers(self) -> Generator[Answer | None, None, None]:
        """Yield when a task is begun and when it's through, in whatever order that is; None now and then meanwhile."""
        yield from self._run(self._waiting, min(self._num_jobs, len(self._tasks)))
        yield from self._run(self._alone, 1)

    def _run(self, waiting: deque[int], num_jobs: int) -> Iterator[Answer | None]:
        running: dict[_Process, ExitStack] = {}
        with ExitStack() as all_of_them:
            while waiting or running:
                while waiting and len(running) < num_jobs:
                    yield self._begin(self._started(all_of_them, running, num_jobs), waiting)
                try:
                    process, line = self._answers.get(timeout=TICK_SEC)
                except queue.Empty:
                    yield None
                    continue
                if process not in running:
                    continue
                answer = self._answer(process, line, is_alone=len(running) == 1)
                if answer is not None:
                    yield answer
                if line is None or not waiting:
                    running.pop(process).close()
                else:
                    yield self._begin(process, waiting)

    def _started(self, stack: ExitStack, running: dict[_Process, ExitStack], num_jobs: int) -> _Process:
        own = stack.enter_context(ExitStack())
        process = own.enter_context(_Process(max(1, num_cpus() // num_jobs), self._answers))
        running[process] = own
        return process

    def _begin(self, process: _Process, waiting: deque[int]) -> Answer:
        index = waiting.popleft()
        process.start(index, self._tasks[index])
        return Answer(index)

    def _answer(self, process: _Process, line: str | None, *, is_alone: bool) -> Answer | None:
        """Return what came of a process's task; None where it's to be made once more, alone."""
        index = process.index
        assert index is not None
        text = process.errors()
        if line is not None:
            made: Made = from_line(line)
            lacks_memory = made.spec is not None and made.spec.lacks_memory
        else:
            status, at = process.exit_status(), place_of_crash(text, Path.cwd())
            text = text.partition(CRASH)[0]
            how = f"{describe_signal(status)}{at}" if status < 0 else f"ended with status {status}"
            made = Made(refusal=f"{self._tasks[index].subject}: the process that recorded it {how}")
            lacks_memory = status == _KILLED
        if lacks_memory and not is_alone:
            self._alone.append(index)
            return None
        return Answer(index, made, text)
