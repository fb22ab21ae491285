"""The rate of a run's steps, on a clock that is set by hand."""

from __future__ import annotations

import time

import pytest
import torch

from archcheck.training.step_rate import StepRateTimer


class WallClock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def take_steps(timer: StepRateTimer, clock: WallClock, *seconds: float) -> None:
    for spent in seconds:
        clock.now += spent
        timer.count_step()


def test_the_first_step_of_a_run_does_not_count(clock: WallClock) -> None:
    timer = StepRateTimer(torch.device("cpu"), batch_size=10)
    timer.start_epoch()
    assert timer.run_sec == 0.0
    take_steps(timer, clock, 7.0, 0.5, 0.5, 1.0)
    assert timer.first_step_sec == pytest.approx(7.0)
    assert timer.run_sec == pytest.approx(2.0)
    assert timer.stop_epoch() == pytest.approx((15.0, 2.0))  # 3 steps of 10 examples in 2 s


def test_later_epochs_count_every_step_and_no_time_between_them(clock: WallClock) -> None:
    timer = StepRateTimer(torch.device("cpu"), batch_size=4)
    timer.start_epoch()
    take_steps(timer, clock, 1.0, 1.0)
    timer.stop_epoch()
    clock.now += 30.0  # evaluation
    timer.start_epoch()
    take_steps(timer, clock, 0.5, 0.5)
    assert timer.examples_per_sec() == pytest.approx(8.0)
    assert timer.run_sec == pytest.approx(32.0)


def test_an_epoch_of_one_step_has_no_rate(clock: WallClock) -> None:
    timer = StepRateTimer(torch.device("cpu"), batch_size=4)
    timer.start_epoch()
    take_steps(timer, clock, 2.0)
    assert timer.stop_epoch() == (0.0, 0.0)
