"""Turns of two processes, on a machine of the tests' own: no process is started, and time passes when it says so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from archcheck.throughput.regression.paired_benchmark import ReferenceResult, run_against_reference, run_paired
from archcheck.throughput.regression.workers import WorkerFailed, WorkerRequest

STEP_SEC = 0.005
STARTING_SEC = 2.0


def request(name: str) -> WorkerRequest:
    return WorkerRequest(Path(name), name, None, "full", "cpu", 1)


LEFT, RIGHT = request("left"), request("right")


class Machine:
    """Processes on a clock of their own.

    factor: what a step takes longer than STEP_SEC, by process pair (from 0), side, and turn (from 0, in each process
    pair, those that find out about how long a step takes left out).
    """

    def __init__(self) -> None:
        self.now, self.pairs, self.turns, self.running = 0.0, 0, 0, 0
        self.last = ""
        self.asked: list[tuple[Any, ...]] = []
        self.batch_sizes = {"left": 1, "right": 1}
        self.reference: dict[str, Any] = {"text": "TEXT", "step_sec": STEP_SEC}
        self.factor: Callable[[int, str, int], float] = lambda pair, side, turn: 1.0
        self.after_another = 1.0  # what a turn takes longer after one of the other side

    @contextmanager
    def started_workers(self, *requests: WorkerRequest) -> Iterator[list[Process]]:
        self.now += STARTING_SEC
        self.pairs, self.turns, self.running = self.pairs + 1, 0, len(requests)
        try:
            yield [Process(self, one.shown) for one in requests]
        finally:
            self.running = 0

    def take(self, side: str, number: int) -> float:
        factor = self.factor(self.pairs - 1, side, self.turns) if number > 1 else 1.0
        cold = self.after_another if side != self.last else 1.0
        self.turns, self.last = self.turns + (number > 1), side
        seconds = number * STEP_SEC * factor * cold
        self.now += seconds
        return seconds


class Process:
    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self._name = machine, name

    def ready(self) -> dict[str, Any]:
        batch_size = self._machine.batch_sizes[self._name]
        return {"batch_size": batch_size, "first_step_sec": 1.0, "step_sec": STEP_SEC, "wrong_code": ""}

    def ask(self, command: str, argument: Any, expected_sec: float = 0.0) -> dict[str, Any]:
        self._machine.asked.append((command, argument))
        if command == "prepare":
            return self._machine.reference
        side = self._name if self._name != "one" else command
        return {"seconds": self._machine.take(side, argument)}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    machine.batch_sizes["one"] = 1
    monkeypatch.setattr("archcheck.throughput.regression.paired_benchmark.started_workers", machine.started_workers)
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    return machine


# ------------------------------------------------------------------------------------------- a pair


def test_a_side_that_takes_a_fifth_longer_has_a_ratio_of_one_point_two(machine: Machine) -> None:
    machine.factor = lambda pair, side, turn: 1.2 if side == "left" else 1.0
    comparison = run_paired(LEFT, RIGHT, 1.075)
    assert comparison.interval.ratio == pytest.approx(1.2)
    assert comparison.verdict == "over"
    assert (comparison.left_sec, comparison.right_sec) == pytest.approx((1.2 * STEP_SEC, STEP_SEC))
    assert comparison.log_ratios == pytest.approx([math.log(1.2)] * 2)


def test_it_is_under_a_limit_that_is_wider(machine: Machine) -> None:
    machine.factor = lambda pair, side, turn: 1.2 if side == "left" else 1.0
    assert run_paired(LEFT, RIGHT, 1.3).verdict == "under"


def test_examples_count_rather_than_steps(machine: Machine) -> None:
    machine.batch_sizes = {"left": 10, "right": 25}
    comparison = run_paired(LEFT, RIGHT, 1.5)
    assert comparison.interval.ratio == pytest.approx(2.5)
    assert (comparison.left_sec, comparison.right_sec) == pytest.approx((STEP_SEC / 10, STEP_SEC / 25))


@pytest.mark.parametrize("per_turn", [0.01, -0.004])
def test_a_machine_that_drifts_favours_neither_side(machine: Machine, per_turn: float) -> None:
    machine.factor = lambda pair, side, turn: 1 + per_turn * turn
    assert run_paired(LEFT, RIGHT, 1.075).interval.ratio == pytest.approx(1, abs=1e-9)


def test_a_cache_that_holds_the_other_sides_data_favours_neither(machine: Machine) -> None:
    machine.after_another = 1.3
    assert run_paired(LEFT, RIGHT, 1.075).interval.ratio == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("every", [17, 23])
def test_a_machine_that_is_busy_now_and_then_changes_nothing(machine: Machine, every: int) -> None:
    machine.factor = lambda pair, side, turn: (5.0 if turn % every == 2 else 1.0) * (1.1 if side == "left" else 1.0)
    assert run_paired(LEFT, RIGHT, 1.2).interval.ratio == pytest.approx(1.1, abs=1e-9)


# ------------------------------------------------------------------------------------------- until it's clear


def test_what_is_clear_takes_two_pairs_of_processes(machine: Machine) -> None:
    assert run_paired(LEFT, RIGHT, 1.075).verdict == "under"
    assert machine.pairs == 2


def test_what_is_far_from_the_limit_takes_few_turns(machine: Machine) -> None:
    def num_turns(factor: Callable[[int, str, int], float]) -> int:
        machine.factor = factor
        run_paired(LEFT, RIGHT, 1.0)
        return machine.turns

    assert num_turns(lambda pair, side, turn: 1.5 if side == "left" else 1.0) == 5 * 4
    assert num_turns(lambda pair, side, turn: 1.0 if side == "left" else 1.5) == 5 * 4
    near = num_turns(lambda pair, side, turn: 1.1 if side == "left" else 1.0)
    one_round_is_near = num_turns(lambda pair, side, turn: 1.5 if side == "left" and turn > 3 else 1.0)
    assert min(near, one_round_is_near) > 5 * 4


def test_what_is_open_takes_more(machine: Machine) -> None:
    """The second pair is 6 % apart: two values that differ so much leave 7.5 % possible, some more don't."""
    machine.factor = lambda pair, side, turn: 1.06 if pair == 1 and side == "left" else 1.0
    comparison = run_paired(LEFT, RIGHT, 1.075)
    assert comparison.verdict == "under"
    assert 2 < len(comparison.log_ratios) < 10
    assert len(comparison.log_ratios) == machine.pairs


@pytest.mark.parametrize("budget_sec", [20.0, 60.0])
def test_what_stays_open_ends_within_the_budget(machine: Machine, budget_sec: float) -> None:
    machine.factor = lambda pair, side, turn: 1.075 if side == "left" else 1.0
    comparison = run_paired(LEFT, RIGHT, 1.075, budget_sec)
    assert comparison.verdict == "open"
    assert comparison.duration_sec == pytest.approx(machine.now)
    each = machine.now / machine.pairs
    assert budget_sec - each < comparison.duration_sec <= budget_sec


def test_two_pairs_are_measured_whatever_the_budget(machine: Machine) -> None:
    machine.factor = lambda pair, side, turn: 1.075 if side == "left" else 1.0
    assert run_paired(LEFT, RIGHT, 1.075, budget_sec=0.1).verdict == "open"
    assert machine.pairs == 2


# ------------------------------------------------------------------------------------------- a reference


def test_a_step_is_measured_beside_a_reference_of_its_own(machine: Machine) -> None:
    machine.factor = lambda pair, side, turn: 1.3 if side == "step" else 1.0
    run = run_against_reference(request("one"), None)
    assert (run.reference, run.problem) == ("TEXT", "")
    assert run.log_ratios == pytest.approx((math.log(1.3), math.log(1.3)))


def test_the_reference_of_the_first_process_is_that_of_all(machine: Machine) -> None:
    run_against_reference(request("one"), None)
    assert [argument for command, argument in machine.asked if command == "prepare"] == [None, "TEXT"]


def test_one_that_was_saved_is_used_until_the_change_is_clear(machine: Machine) -> None:
    """A tenth more than then, but the saved values are 6 % apart."""
    machine.factor = lambda pair, side, turn: 1.1 if side == "step" else 1.0
    machine.reference = {"text": "SAVED", "step_sec": STEP_SEC}
    clear = run_against_reference(request("one"), "SAVED", [0.0, 0.001, 0.0], 1.02)
    assert clear.reference == "SAVED"
    assert len(clear.log_ratios) == 2
    unclear = run_against_reference(request("one"), "SAVED", [-0.03, 0.03], 1.075, budget_sec=40)
    assert len(unclear.log_ratios) > 2
    assert ("prepare", None) not in machine.asked


def test_without_a_usable_reference_there_is_nothing_but_the_reason(machine: Machine) -> None:
    machine.reference = {"text": None, "problem": "not a reference workload: of another version"}
    run = run_against_reference(request("one"), "OLD")
    assert run == ReferenceResult(None, (), "not a reference workload: of another version")
    assert (machine.pairs, machine.running) == (1, 0)


# ------------------------------------------------------------------------------------------- failures


def test_a_clock_that_stands_still_is_told(machine: Machine) -> None:
    machine.factor = lambda pair, side, turn: 0.0
    with pytest.raises(WorkerFailed, match="the clock stands still: no time has passed between two looks at it"):
        run_paired(LEFT, RIGHT, 1.075)
    assert machine.running == 0


def test_a_process_that_dies_ends_both(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(pair: int, side: str, turn: int) -> float:
        if turn == 6:
            raise WorkerFailed("the process that measures right was killed by signal 9", "Died", shown="right")
        return 1.0

    machine.factor = die
    with pytest.raises(WorkerFailed, match="measures right was killed by signal 9"):
        run_paired(LEFT, RIGHT, 1.075)
    assert machine.running == 0
