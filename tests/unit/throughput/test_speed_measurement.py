"""Examples per second and what goes with it: rounds and clocks are the tests' own, counts are by hand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import BuildError
from archcheck.spec.spec_file import parse_spec
from archcheck.throughput.plan import resolve_plan
from archcheck.throughput.records import SpeedRecord
from archcheck.throughput.speed_measurement import measure_speed, time_calls
from archcheck.training.failures import RunFailed

CPU = torch.device("cpu")
HERE = "tests.unit.throughput.test_speed_measurement"

# By hand: conv 6 * 6 * 4 * 9 = 1,296 multiply-adds, fc 144 * 10 = 1,440: 2,736 for an example.
MACS = 2_736


class Small(nn.Module):
    seen: list[Any]

    def __init__(self, raises: str = "") -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(144, 10)
        self.raises = raises

    def forward(self, x: Tensor) -> Tensor:
        if self.raises:
            raise ValueError(self.raises)
        return self.fc(self.conv(x).flatten(1))  # type: ignore[no-any-return]


class Threads(nn.Linear):
    """Tells its bias how many threads there are."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its base's name
        assert input.is_meta or torch.get_num_threads() == 1
        return super().forward(input)


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is measured: a warm-up of as few steps as there may be, and a peak by decree."""
    monkeypatch.setattr("archcheck.throughput.workload.WARM_UP_SEC", 0.0)
    monkeypatch.setattr("archcheck.throughput.speed_measurement.measure_peak_macs_per_sec", lambda *args: 1e6)


def rounds_of(*seconds: float) -> Callable[[Callable[[], object], int], list[float]]:
    def time_rounds(function: Callable[[], object], number: int) -> list[float]:
        function()
        return list(seconds)

    return time_rounds


def figures_of(more: str = "", build: str = f"{HERE}:Small", size: str = "[B, 1, 8, 8]", **given: Any) -> SpeedRecord:
    spec_file = parse_spec(f"build: {build}\ninput: {size}\n{more}", path=Path("small.arch.yaml"))
    time_rounds = given.get("time_rounds", rounds_of(0.5, 0.25, 4.0))
    return measure_speed(spec_file, resolve_plan(spec_file.spec, "full"), CPU, None, time_rounds)


# ------------------------------------------------------------------------------------------- rates


def test_examples_per_second_are_those_of_the_median_round() -> None:
    record = figures_of("throughput: {batch_size: 20}\n")
    assert (record.step_sec, record.examples_per_sec) == (0.5, 40.0)
    assert (record.mode, record.batch_size, record.precision, record.device) == ("train", 20, "fp32", "cpu")


def test_training_counts_as_three_forward_passes() -> None:
    record = figures_of("throughput: {batch_size: 20}\n")
    assert record.macs_per_sec == pytest.approx(3 * MACS * 20 / 0.5)
    assert record.utilization == pytest.approx(3 * MACS * 20 / 0.5 / 1e6)


def test_inference_counts_as_one() -> None:
    record = figures_of("throughput: {batch_size: 20, mode: inference}\n")
    assert record.macs_per_sec == pytest.approx(MACS * 20 / 0.5)
    assert record.mode == "inference"


def test_multiply_adds_are_those_at_the_size_that_is_timed() -> None:
    """A 10 x 10 image: 8 * 8 * 4 * 9 multiply-adds, pooled to 6 x 6 before 1,440 more."""
    build, size = f"{HERE}:pooling", "[B, 1, H, H]\nsizes: {H: [8, 12]}"
    record = figures_of("throughput: {batch_size: 20, mode: inference, resize: 10}\n", build, size)
    assert record.macs_per_sec == pytest.approx((8 * 8 * 4 * 9 + 1_440) * 20 / 0.5)


def pooling() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(144, 10))


def test_a_network_of_one_batch_size_counts_each_example_once() -> None:
    record = figures_of(size="[4, 1, 8, 8]")
    assert record.examples_per_sec == 8.0
    assert record.macs_per_sec == pytest.approx(3 * MACS * 4 / 0.5)


def test_memory_holds_weights_gradients_and_the_batch_at_least() -> None:
    """1,490 weights and their gradients, ten images; a float32 takes four bytes."""
    record = figures_of("throughput: {batch_size: 10}\n")
    assert record.peak_memory_bytes is not None
    assert record.peak_memory_bytes >= 4 * (2 * 1_490 + 10 * 64)


def test_rounds_are_as_many_as_take_a_second(clock: Clock) -> None:
    asked: list[int] = []

    def time_rounds(function: Callable[[], object], number: int) -> list[float]:
        asked.append(number)
        return [clock.each_sec] * number

    for clock.each_sec in (1 / 128, 1 / 8, 3 / 4, 1e-6):
        figures_of(build=f"{HERE}:ticking", time_rounds=time_rounds, size="[B, 3]")
    assert asked == [128, 8, 5, 2000]  # five at least, and two thousand at most


def test_calls_are_timed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([1.0, 1.5, 2.0, 4.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(looks))
    calls: list[int] = []
    assert time_calls(lambda: calls.append(1), 2) == [0.5, 2.0]
    assert calls == [1, 1]


class Clock:
    """A clock that networks advance. first_sec: what the first pass in training takes; each_sec: the others."""

    def __init__(self) -> None:
        self.now, self.first_sec, self.each_sec = 0.0, 0.0, 0.01

    def pass_(self) -> None:
        self.now += self.first_sec or self.each_sec
        self.first_sec = 0.0


CLOCK: list[Clock] = []


class Ticking(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - its base's name
        if self.training and not input.is_meta:
            CLOCK[-1].pass_()
        return super().forward(input)


def ticking() -> nn.Module:
    return Ticking(3, 2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    CLOCK.append(Clock())
    monkeypatch.setattr("archcheck.throughput.device_clock.DeviceClock.now", lambda clock: CLOCK[-1].now)
    yield CLOCK[-1]
    CLOCK.clear()


@pytest.mark.parametrize(("compile_", "expected"), [("true", 6.99), ("false", 0.0)])
def test_compilation_takes_what_the_first_step_takes_longer(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, compile_: str, expected: float
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: network)
    clock.first_sec = 7.0
    training = f"training: {{dataset: d, compile: {compile_}}}\n"
    record = figures_of(training, f"{HERE}:ticking", "[B, 3]", time_rounds=rounds_of(0.01))
    assert record.compile_sec == pytest.approx(expected)


# ------------------------------------------------------------------------------------------- the world around


def test_torchs_settings_and_generators_are_afterwards_as_before() -> None:
    def state() -> tuple[Any, ...]:
        settings = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
        draws = torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state())
        return settings, draws, torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            before = state()
            figures_of("training: {dataset: d, batch_size: 4, optimizer: Adam}\n")
            figures_of("throughput: {batch_size: 4, mode: inference}\n")
            assert state() == before
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)


def test_a_network_has_one_thread_of_the_cpu() -> None:
    args = "args: {in_features: 3, out_features: 2}\n"
    assert figures_of(args, f"{HERE}:Threads", "[B, 3]").num_threads == 1


def test_a_network_that_raises_is_told() -> None:
    message = r"^the forward pass raised ValueError: no luck \(.*test_speed_measurement\.py:\d+\)$"
    with pytest.raises(RunFailed, match=message):
        figures_of("args: {raises: no luck}\n")


def test_one_that_is_not_there_is_told() -> None:
    with pytest.raises(BuildError, match=f"^{HERE} has no 'Smal': did you mean 'Small'"):
        figures_of(build=f"{HERE}:Smal")


def test_a_round_that_fails_is_told_as_a_step() -> None:
    def time_rounds(function: Callable[[], object], number: int) -> list[float]:
        raise MemoryError

    message = "^a step: out of memory; a smaller batch_size or resize needs less$"
    with pytest.raises(RunFailed, match=message) as raised:
        figures_of(time_rounds=time_rounds)
    assert raised.value.fault.key == "batch_size"
