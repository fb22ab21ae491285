"""All specs of a run of `archcheck new`: each written as soon as it's made, and told in the order of the targets."""

from __future__ import annotations

import gc
import re
import sys
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from archcheck.cli.live_line import LiveLine, live_line
from archcheck.cli.new_pool import Answer, Pool
from archcheck.cli.new_process import WARNING_MARKS
from archcheck.cli.new_tasks import Outcome, Result, Task, deliver, make, tell


class Interrupted(KeyboardInterrupt):
    """Somebody pressed Ctrl-C; `results` are those of all tasks."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__()
        self.results = results


def write_specs(tasks: Sequence[Task], num_jobs: int) -> list[Result]:
    """Write the spec of every task, in several processes at a time if there are to be more than one.

    Raises:
        Interrupted: before all were through; what is written is kept.
    """
    with live_line(len(tasks)) as line, _warnings_once() as told:
        run = _Run(tasks, line, told)
        with closing(_made_here(tasks) if num_jobs == 1 else Pool(tasks, num_jobs).answers()) as answers:
            try:
                for answer in answers:
                    run.take(answer)
            except KeyboardInterrupt:
                raise Interrupted(run.results(interrupted=True)) from None
        return run.results()


def _made_here(tasks: Sequence[Task]) -> Generator[Answer | None, None, None]:
    """Make the specs in this process, one after the other."""
    for index, task in enumerate(tasks):
        yield Answer(index)
        made = make(task)
        if len(tasks) > 1:
            gc.collect()  # a network that refers to itself is let go of before the next one is built
        yield Answer(index, made)


class _Run:
    """What came of the tasks so far; of the first ones it is told."""

    def __init__(self, tasks: Sequence[Task], line: LiveLine | None, told: set[str]) -> None:
        self._tasks, self._line, self._told = tasks, line, told
        self._outcomes: dict[int, tuple[Outcome, str]] = {}
        self._results: list[Result] = []

    def take(self, answer: Answer | None) -> None:
        """Show a task that is begun, or write what came of it; tell of all whose turn it is."""
        if answer is None:
            return
        task = self._tasks[answer.index]
        if answer.made is None:
            if self._line is not None:
                self._line.begin(task.label)
            return
        self._outcomes[answer.index] = deliver(task, answer.made), answer.text
        while len(self._results) in self._outcomes:
            self._tell(len(self._results))
        if self._line is not None:
            self._line.end(task.label)

    def results(self, *, interrupted: bool = False) -> list[Result]:
        """Return the results of all tasks; after an interrupt, what is written is told of, too."""
        for index in range(len(self._results), len(self._tasks)) if interrupted else ():
            if index in self._outcomes:
                self._tell(index)
            else:
                self._results.append(Result(self._tasks[index].label, "-", "not tried: interrupted"))
        return self._results

    def _tell(self, index: int) -> None:
        outcome, text = self._outcomes.pop(index)
        if text:
            sys.stderr.write(_with_new_warnings(text, self._told))
            sys.stderr.flush()
        self._results.append(tell(self._tasks[index], outcome))


def _with_new_warnings(text: str, told: set[str]) -> str:
    """Return what a process wrote to standard error, with those warnings that nobody was told so far."""
    begin, end = WARNING_MARKS

    def new(match: re.Match[str]) -> str:
        is_new = match[1] not in told
        told.add(match[1])
        return match[1] if is_new else ""

    return re.sub(f"{begin}(.*?){end}", new, text, flags=re.DOTALL)


@contextmanager
def _warnings_once() -> Iterator[set[str]]:
    """Tell each warning once, whichever network causes it. Gives those that were told."""
    told: set[str] = set()
    show = warnings.showwarning

    def show_once(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        if text not in told:
            told.add(text)
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = show_once
    try:
        yield told
    finally:
        if warnings.showwarning is show_once:
            warnings.showwarning = show
