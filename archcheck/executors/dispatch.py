"""Submits requests to an executor, and hands out the answers in order, whatever becomes of hosts on the way."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor
from contextlib import nullcontext, suppress
from inspect import signature
from typing import Any, Final, Protocol

from archcheck.executors.host import run_spec
from archcheck.executors.records import Answer, Request, other_versions, own_versions

ATTEMPTS: Final = 2  # of a request that no host has answered
SILENT_SEC: Final = 60.0  # after which it is told that nobody answers
POLL_SEC: Final = 0.2


class Result(Protocol):
    """What `submit` returns, as far as it has to be; `add_done_callback`, `done` and `cancel` are used, too."""

    def result(self) -> Any:
        """Wait, and return what the function returned, or raise."""


class Executor(Protocol):
    """What runs functions elsewhere; `shutdown` and `batch` are used where there are any."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Result:
        """Have a function called with some arguments."""


class Dispatch:
    """The requests of a run under way.

    Args:
        make: returns an executor; called again where one breaks. tell: writes a line that users should see.
        requests: what to run; answers are asked for by their place among these.
    """

    def __init__(self, make: Callable[[], Executor], requests: Sequence[Request], tell: Callable[[str], None]) -> None:
        self._make, self._requests, self._tell = make, requests, tell
        self._executor = make()
        self._answers: dict[int, Answer] = {}
        self._attempts: Counter[int] = Counter()
        self._results: dict[int, Result] = {}
        self._done: queue.Queue[tuple[int, Result]] = queue.Queue()
        self._here = own_versions()
        self._told: set[str] = set()
        self._heard = time.monotonic()
        self._has_told_silence = False
        self._can_be_remade = True
        self.hosts: Counter[str] = Counter()

    def start(self) -> None:
        """Submit everything."""
        self._submit(range(len(self._requests)))

    def answer(self, index: int) -> Answer:
        """Wait for the answer to a request, and return it."""
        while index not in self._answers:
            try:
                self._take(*self._done.get(timeout=POLL_SEC))
            except queue.Empty:
                self._tell_silence()
        return self._answers.pop(index)

    def has_answer(self, index: int) -> bool:
        """Return whether the answer to a request has come."""
        while not self._done.empty():
            self._take(*self._done.get())
        return index in self._answers

    def cancel(self) -> None:
        """End what is under way and leave no job behind."""
        for result in self._results.values():
            with suppress(Exception):  # an engine's own ways of saying that it's too late
                cancel = getattr(result, "cancel", None)
                if cancel is not None:
                    cancel()
        self._end_executor()

    def _end_executor(self) -> None:
        """Let go of the executor and of what its processes still do."""
        workers = _workers_of(self._executor)
        self.close()
        for process in workers:
            process.kill()

    def close(self) -> None:
        """Let go of the executor, and wait for nothing."""
        shutdown = getattr(self._executor, "shutdown", None)
        if shutdown is not None:
            wanted = {"wait": False, "cancel_futures": True, "kill_workers": True}
            shutdown(**{name: value for name, value in wanted.items() if name in signature(shutdown).parameters})

    # ------------------------------------------------------------------------------------------- what goes out

    def _submit(self, indices: Sequence[int]) -> None:
        batch = getattr(self._executor, "batch", None)  # an array of jobs
        unwatched = []
        with batch() if batch is not None else nullcontext():
            for index in indices:
                result = self._results[index] = self._executor.submit(run_spec, self._requests[index].to_plain())
                unwatched.append((index, result))
        left = [(index, result) for index, result in unwatched if not self._watch(index, result)]
        if left:
            threading.Thread(target=self._poll, args=(left,), daemon=True).start()

    def _watch(self, index: int, result: Result) -> bool:
        add = getattr(result, "add_done_callback", None)
        if add is not None:
            add(lambda _: self._done.put((index, result)))
        return add is not None

    def _poll(self, left: list[tuple[int, Any]]) -> None:
        """Wait for results that tell nobody when they are done."""
        while left:
            for pair in list(left):
                if not hasattr(pair[1], "done"):
                    with suppress(Exception):  # it is raised again where the result is taken
                        pair[1].result()
                elif not pair[1].done():
                    continue
                left.remove(pair)
                self._done.put(pair)
            time.sleep(POLL_SEC)

    # ------------------------------------------------------------------------------------------- what comes back

    def _take(self, index: int, result: Result) -> None:
        if self._results.get(index) is not result:  # it was lost with its executor, and is submitted anew
            return
        self._heard = time.monotonic()
        try:
            answer = Answer.from_plain(result.result())
        except BrokenExecutor as error:
            self._remake(error)
            return
        except (Exception, CancelledError) as error:
            self._lose(index, f"no host has given a result: {type(error).__name__}: {error}")
            return
        self._can_be_remade = True
        self._tell_host(answer)
        if answer.refused:
            self._lose(index, f"{answer.host} has refused it: {answer.refused}")
            return
        del self._results[index]
        self.hosts[answer.host] += 1
        self._answers[index] = answer

    def _lose(self, index: int, why: str) -> None:
        """Submit a request once more, and the second time give it up."""
        self._attempts[index] += 1
        if self._attempts[index] < ATTEMPTS:
            self._submit([index])
            return
        del self._results[index]
        checks = self._requests[index].checks
        self._answers[index] = Answer("", {}, lost=dict.fromkeys(checks, why))

    def _remake(self, error: BrokenExecutor) -> None:
        """Take another executor for all that were waiting; give these up where nothing came of the last one, either."""
        unfinished = sorted(self._results)
        self._end_executor()
        if not self._can_be_remade:
            why = f"the executor broke twice in a row: {error}"
            for index in unfinished:
                self._attempts[index] = ATTEMPTS
                self._lose(index, why)
            return
        self._can_be_remade = False
        self._tell(f"the executor broke ({error}): {len(unfinished)} requests are submitted to another")
        self._executor = self._make()
        self._submit(unfinished)

    def _tell_host(self, answer: Answer) -> None:
        differing = other_versions(answer.versions, self._here)
        if differing and answer.host not in self._told:
            self._told.add(answer.host)
            self._tell(f"{answer.host} has {differing}")

    def _tell_silence(self) -> None:
        if self._has_told_silence or time.monotonic() - self._heard < SILENT_SEC:
            return
        runs = [running() for one in self._results.values() if (running := getattr(one, "running", None)) is not None]
        if not any(runs):
            self._has_told_silence = True
            self._tell(f"no host has taken any of {len(self._results)} requests for {SILENT_SEC:.0f} s")


def _workers_of(executor: Executor) -> list[Any]:
    """Return the processes of a pool of Python's: at exit it waits for these, and they may wait for a check forever."""
    return list((executor._processes or {}).values()) if isinstance(executor, ProcessPoolExecutor) else []
