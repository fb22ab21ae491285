"""A clock that stands still while another process has the processor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import torch

from archcheck.throughput import device_clock
from archcheck.throughput.device_clock import DeviceClock

CPU = torch.device("cpu")


class System:
    """A machine whose clock on the wall, and whose count of what a thread has waited, are told beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path_file: str) -> None:
        self.wall_sec = 100.0
        self.waited_sec: Iterator[float] = iter(())
        monkeypatch.setattr(device_clock, "_SCHEDSTAT", tmp_path_file)
        monkeypatch.setattr(time, "perf_counter", lambda: self.wall_sec)
        monkeypatch.setattr(os, "pread", lambda *_: b"17 %d 3\n" % (next(self.waited_sec) * 1e9))

    def waits(self, *seconds: float) -> None:
        self.waited_sec = iter(seconds)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> System:
    file = os.path.join(tmp_path, "schedstat")
    with open(file, "w", encoding="ascii") as made:
        made.write("17 0 3\n")
    return System(monkeypatch, file)


def test_waiting_for_a_processor_is_left_out(system: System) -> None:
    system.waits(0, 5, 5, 5, 5 + 0.75, 5 + 0.75)
    timer = DeviceClock(CPU)
    start = timer.now()
    system.wall_sec += 1.0
    assert timer.now() - start == pytest.approx(0.25)


def test_what_is_slept_counts(system: System) -> None:
    system.waits(*[0] * 5)
    timer = DeviceClock(CPU)
    start = timer.now()
    system.wall_sec += 1.0
    assert timer.now() - start == pytest.approx(1.0)


def test_a_processor_taken_away_between_two_looks_is_looked_at_again(system: System) -> None:
    """Or the wait would be taken off a time that it is no part of."""
    system.waits(0, 5, 5.5, 5.5)
    assert DeviceClock(CPU).now() == pytest.approx(100.0 - 5.5)


@pytest.mark.parametrize("text", ["", "not what Linux writes"])
def test_a_system_that_does_not_count_it_has_the_clock_on_the_wall(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str], text: str
) -> None:
    file = os.path.join(tmp_path, "schedstat")
    if text:
        with open(file, "w", encoding="ascii") as made:
            made.write(text)
    monkeypatch.setattr(device_clock, "_SCHEDSTAT", file)
    monkeypatch.setattr(time, "perf_counter", lambda: 42.0)
    assert DeviceClock(CPU).now() == 42.0
