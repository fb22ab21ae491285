"""Two processes timed in turns until the verdict is clear, or one in turns with its reference workload."""

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

TURN_SEC = 0.02  # long against the clock's resolution and a cold cache, short against changes of the machine's speed
MEASURE_SEC = 2.0  # of turns, for each pair of processes
MIN_ROUNDS, MAX_ROUNDS = 5, 35
FAR = 0.12  # from the limit, as a logarithm: where every round is as far, more rounds tell nothing new
MIN_PROCESSES = 2
BUDGET_SEC = 60.0


@dataclass(frozen=True, slots=True)
class PairedResult:
    """The ratio of the times of two sides, its interval, and the verdict on a limit.

    log_ratios: one for each pair of processes. left_sec, right_sec: the median time of one example, of each side.
    """

    log_ratios: tuple[float, ...]
    interval: Interval
    verdict: Verdict
    left_sec: float
    right_sec: float
    duration_sec: float


def run_paired(left: WorkerRequest, right: WorkerRequest, limit: float, budget_sec: float = BUDGET_SEC) -> PairedResult:
    """Measure the ratio of the time of an example, left over right, against a limit.

    New pairs of processes take turns until the verdict is clear or the budget is spent.

    Raises:
        WorkerFailed: a side can't be measured.
    """
    start, medians = time.perf_counter(), list[tuple[float, float]]()

    def measure_once() -> float:
        cpu = _cpu_for(left, len(medians))
        with started_workers(replace(left, cpu=cpu), replace(right, cpu=cpu)) as (left_worker, right_worker):
            seconds = _take_turns(_side_by_example(left_worker), _side_by_example(right_worker), limit)
        medians.append((median(left_sec for left_sec, _ in seconds), median(right_sec for _, right_sec in seconds)))
        return _median_log_ratio(seconds)

    values, interval = _until_clear(measure_once, ratio_interval, limit, budget_sec)
    lefts, rights = zip(*medians, strict=True)
    duration_sec = time.perf_counter() - start
    return PairedResult(tuple(values), interval, judge(interval, limit), median(lefts), median(rights), duration_sec)


def _cpu_for(request: WorkerRequest, number: int) -> int | None:
    """Choose one processor for both sides, another one for each pair; None where threads or the system don't allow it.

    Otherwise each side stays on the processor where it started, one of them maybe shared with a busy process.
    """
    if request.num_threads != 1 or not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[(os.getpid() + number) % len(allowed)]  # sessions that run at the same time begin on different ones


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """A step's time over that of a reference workload: the logarithms of the ratio, one for each process.

    reference: the workload as text. problem: why there are no ratios.
    """

    reference: str | None
    log_ratios: tuple[float, ...]
    problem: str = ""


def run_against_reference(
    request: WorkerRequest,
    reference: str | None,
    baseline_log_ratios: Sequence[float] = (),
    limit: float = math.inf,
    budget_sec: float = BUDGET_SEC,
) -> ReferenceResult:
    """Time a step in turns with a reference workload, until it is clear whether the ratio has changed beyond a limit.

    reference: the workload as text; None: the step's own operations.
    baseline_log_ratios: those of the saved run to compare with; empty: there is none.

    Raises:
        WorkerFailed: the step can't be measured.
    """
    found: dict[str, Any] = {"text": reference}

    def measure_once() -> float:
        with started_workers(request) as (worker,):
            step_sec = worker.ready()["step_sec"]
            found.update(worker.ask("prepare", found["text"]))
            if found["text"] is None:
                raise _NoReference
            reference_side = _side(worker, "reference", found["step_sec"])
            seconds = _take_turns(_side(worker, "step", step_sec), reference_side)
        return _median_log_ratio(seconds)

    def interval_of(values: Sequence[float]) -> Interval:
        return change_interval(values, baseline_log_ratios) if baseline_log_ratios else ratio_interval(values)

    try:
        values, _ = _until_clear(measure_once, interval_of, limit, budget_sec)
    except _NoReference:
        return ReferenceResult(None, (), found["problem"])
    return ReferenceResult(found["text"], tuple(values))


class _NoReference(Exception):  # noqa: N818 - a finding
    """There is no reference workload to time the step in turns with."""


def _until_clear(
    measure_once: Callable[[], float],
    interval_of: Callable[[Sequence[float]], Interval],
    limit: float,
    budget_sec: float,
) -> tuple[list[float], Interval]:
    """Collect values until their interval is clear of the limit, or another one would exceed the budget."""
    start, values = time.perf_counter(), list[float]()
    while True:
        values.append(measure_once())
        if len(values) < MIN_PROCESSES:
            continue
        interval, spent = interval_of(values), time.perf_counter() - start
        if judge(interval, limit) != "open" or spent + spent / len(values) > budget_sec:
            return values, interval


# ------------------------------------------------------------------------------------------- turns


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison: `turn` takes a turn and returns the seconds of one example; a turn takes `turn_sec`."""

    turn: Callable[[], float]
    turn_sec: float


def _side(worker: Worker, command: str, step_sec: float, num_examples: int = 1) -> _Side:
    """Return a side whose turns are a command of a worker, repeated for about `TURN_SEC`."""
    number = max(1, math.ceil(TURN_SEC / max(step_sec, 1e-7)))
    return _Side(lambda: _time_command(worker, command, number, step_sec) / (number * num_examples), step_sec * number)


def _side_by_example(worker: Worker) -> _Side:
    facts = worker.ready()
    return _side(worker, "step", facts["step_sec"], facts["batch_size"])


def _time_command(worker: Worker, command: str, number: int, step_sec: float) -> float:
    seconds: float = worker.ask(command, number, number * step_sec)["seconds"]
    if seconds <= 0:
        raise WorkerFailed("the clock stands still: no time has passed between two looks at it")
    return seconds


def _take_turns(left: _Side, right: _Side, limit: float | None = None) -> list[tuple[float, float]]:
    """Return the seconds of both sides, round by round; few rounds where each is far from the limit of their ratio.

    A round is left, right, right, left, so that neither side gains by a drift of the machine's speed, nor by a cache
    that holds the other side's data at the first of two turns.
    """
    wanted = MEASURE_SEC / (2 * (left.turn_sec + right.turn_sec))
    rounds = [_round(left, right) for _ in range(MIN_ROUNDS)]
    if limit is None or not _are_far(rounds, limit):
        rounds += [_round(left, right) for _ in range(MIN_ROUNDS, int(min(MAX_ROUNDS, wanted)))]
    return rounds


def _are_far(rounds: Sequence[tuple[float, float]], limit: float) -> bool:
    """Return whether all rounds are far from a limit, on the same side of it."""
    distances = [math.log(left_sec / right_sec / limit) for left_sec, right_sec in rounds]
    return min(distances) > FAR or max(distances) < -FAR


def _round(left: _Side, right: _Side) -> tuple[float, float]:
    first = left.turn()
    right_sec = (right.turn() + right.turn()) / 2
    return (first + left.turn()) / 2, right_sec


def _median_log_ratio(seconds: Sequence[tuple[float, float]]) -> float:
    return median(math.log(left_sec / right_sec) for left_sec, right_sec in seconds)
