"""Two processes that take turns until the verdict is clear, or one beside its reference."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from archcheck.throughput.regression.interval import Interval, Verdict, change_interval, judge, ratio_interval
from archcheck.throughput.regression.workers import Worker, WorkerFailed, WorkerRequest, started_workers

TURN_SEC = 0.02  # long against the clock and a cold cache, short against the moods of a shared machine
MEASURE_SEC = 2.0  # of turns, for each pair of processes
LEAST_ROUNDS, MOST_ROUNDS = 5, 35
LEAST_PROCESSES = 2
BUDGET_SEC = 60.0


@dataclass(frozen=True, slots=True)
class PairedResult:
    """A ratio of times, what is known of it, and the verdict on its limit.

    log_ratios: one for each pair of processes. left_sec, right_sec: the median time of one example, each side's.
    """

    log_ratios: tuple[float, ...]
    interval: Interval
    verdict: Verdict
    left_sec: float
    right_sec: float
    duration_sec: float


def run_paired(left: WorkerRequest, right: WorkerRequest, limit: float, budget_sec: float = BUDGET_SEC) -> PairedResult:
    """The time of an example on the left over that on the right, against a limit.

    Fresh processes take turns, pair after pair, until the verdict is clear or the budget is spent.

    Raises:
        WorkerFailed: a side can't be measured.
    """
    began, sides = time.perf_counter(), list[tuple[float, float]]()

    def one_more() -> float:
        cpu = _cpu_for(left, len(sides))
        with started_workers(replace(left, cpu=cpu), replace(right, cpu=cpu)) as (ours, theirs):
            seconds = _take_turns(_example_clock(ours), _example_clock(theirs))
        sides.append((median(mine for mine, _ in seconds), median(its for _, its in seconds)))
        return _median_log_ratio(seconds)

    values, interval = _until_clear(one_more, ratio_interval, limit, budget_sec)
    lefts, rights = zip(*sides, strict=True)
    duration_sec = time.perf_counter() - began
    return PairedResult(tuple(values), interval, judge(interval, limit), median(lefts), median(rights), duration_sec)


def _cpu_for(request: WorkerRequest, number: int) -> int | None:
    """One processor for both sides, another for each pair; None where threads or the system don't allow it.

    Left alone each side stays where it started: one of them, turn after turn, on the processor of a busy neighbour.
    """
    if request.num_threads != 1 or not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[(os.getpid() + number) % len(allowed)]  # two sessions begin on two of them


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """A step measured beside a reference: the logarithms of their times' ratio, one for each process.

    problem: why there are none.
    """

    reference: str | None
    log_ratios: tuple[float, ...]
    problem: str = ""


def run_against_reference(
    request: WorkerRequest,
    reference: str | None,
    then: Sequence[float] = (),
    limit: float = math.inf,
    budget_sec: float = BUDGET_SEC,
) -> ReferenceResult:
    """Measure a step beside its reference (one of its own where none is given), until the change is clear.

    then: the logarithms of the saved run to compare with.

    Raises:
        WorkerFailed: the step can't be measured.
    """
    found: dict[str, Any] = {"text": reference}

    def one_more() -> float:
        with started_workers(request) as (worker,):
            step_sec = worker.ready()["step_sec"]
            found.update(worker.ask("prepare", found["text"]))
            if found["text"] is None:
                raise _NoReference
            seconds = _take_turns(_clock(worker, "step", step_sec), _clock(worker, "reference", found["step_sec"]))
        return _median_log_ratio(seconds)

    def interval_of(values: Sequence[float]) -> Interval:
        return change_interval(values, then) if then else ratio_interval(values)

    try:
        values, _ = _until_clear(one_more, interval_of, limit, budget_sec)
    except _NoReference:
        return ReferenceResult(None, (), found["problem"])
    return ReferenceResult(found["text"], tuple(values))


class _NoReference(Exception):  # noqa: N818 - a finding
    """There is nothing to measure beside."""


def _until_clear(
    one_more: Callable[[], float],
    interval_of: Callable[[Sequence[float]], Interval],
    limit: float,
    budget_sec: float,
) -> tuple[list[float], Interval]:
    """Values until their interval is clear of the limit, or another one would take too long."""
    began, values = time.perf_counter(), list[float]()
    while True:
        values.append(one_more())
        if len(values) < LEAST_PROCESSES:
            continue
        interval, spent = interval_of(values), time.perf_counter() - began
        if judge(interval, limit) != "open" or spent + spent / len(values) > budget_sec:
            return values, interval


# ------------------------------------------------------------------------------------------- turns


@dataclass(frozen=True, slots=True)
class _Clock:
    """One side: a turn of it, in seconds; and about how long a turn takes."""

    turn: Callable[[], float]
    turn_sec: float


def _clock(worker: Worker, command: str, step_sec: float, num_examples: int = 1) -> _Clock:
    """Turns of a worker's, each timed as seconds for one example."""
    number = max(1, math.ceil(TURN_SEC / max(step_sec, 1e-7)))
    return _Clock(lambda: _ask(worker, command, number, step_sec) / (number * num_examples), step_sec * number)


def _example_clock(worker: Worker) -> _Clock:
    facts = worker.ready()
    return _clock(worker, "step", facts["step_sec"], facts["batch_size"])


def _ask(worker: Worker, command: str, number: int, step_sec: float) -> float:
    seconds: float = worker.ask(command, number, number * step_sec)["seconds"]
    if seconds <= 0:
        raise WorkerFailed("the clock stands still: no time has passed between two looks at it")
    return seconds


def _take_turns(left: _Clock, right: _Clock) -> list[tuple[float, float]]:
    """Both sides' times, round by round.

    A round is left, right, right, left: a drift counts for neither, and neither does a cache that holds the other
    side's data at the first of two turns.
    """
    wanted = MEASURE_SEC / (2 * (left.turn_sec + right.turn_sec))
    return [_round(left, right) for _ in range(int(max(LEAST_ROUNDS, min(MOST_ROUNDS, wanted))))]


def _round(left: _Clock, right: _Clock) -> tuple[float, float]:
    first = left.turn()
    its = right.turn() + right.turn()
    return (first + left.turn()) / 2, its / 2


def _median_log_ratio(seconds: Sequence[tuple[float, float]]) -> float:
    return median(math.log(mine / its) for mine, its in seconds)
