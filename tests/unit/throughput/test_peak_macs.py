"""The machine's own best at multiplying matrices; on a clock of the tests', so that no rate is a matter of luck."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from archcheck.throughput.peak_macs import measure_peak_macs_per_sec

CPU = torch.device("cpu")


class Machine:
    """Pretends that time passes only while matrices are multiplied: `sec(n)` for two n x n ones."""

    def __init__(self, sec: Callable[[int], float], largest: int = 1024) -> None:
        self.now, self.sizes, self._sec, self._largest = 0.0, list[int](), sec, largest

    def mm(self, a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        if len(a) > self._largest:
            raise torch.OutOfMemoryError("out of memory")
        self.sizes.append(len(a))
        self.now += self._sec(len(a))
        return out


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def pretend(sec: Callable[[int], float], **options: Any) -> Machine:
        machine = Machine(sec, **options)
        monkeypatch.setattr(torch, "mm", machine.mm)
        monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
        return machine

    return pretend


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_this_machine_has_a_rate(precision: Literal["fp32", "bf16"]) -> None:
    assert measure_peak_macs_per_sec(CPU, precision, seconds=0.01) > 0


def test_multiply_adds_per_second_of_the_size_that_does_best(pretend: Callable[..., Machine]) -> None:
    pretend({256: 0.002, 512: 0.004, 1024: 0.064}.__getitem__)
    assert measure_peak_macs_per_sec(CPU, "fp32", seconds=1) == pytest.approx(33_554_432_000)  # 512³ in 4 ms


def test_a_clock_that_stumbles_once_changes_nothing(pretend: Callable[..., Machine]) -> None:
    slow = iter([0.001, 0.005])
    pretend(lambda size: next(slow, 0.001) * (size / 256) ** 3)
    assert measure_peak_macs_per_sec(CPU, "fp32", seconds=1) == pytest.approx(16_777_216_000)  # 256³ in 1 ms


def test_a_clock_that_stands_still_for_a_while_is_waited_for(pretend: Callable[..., Machine]) -> None:
    ticks = iter([0.0] * 4)
    pretend(lambda size: next(ticks, 1.0))
    assert measure_peak_macs_per_sec(CPU, "fp32") == pytest.approx(16_777_216)  # 256³ in a second


def test_a_size_that_would_take_too_long_is_left_out(pretend: Callable[..., Machine]) -> None:
    machine = pretend(lambda size: 0.02 * (size / 256) ** 3)  # 512: 0.16 s, and as much to warm up
    measure_peak_macs_per_sec(CPU, "fp32", seconds=0.3)
    assert set(machine.sizes) == {256}
    assert machine.now < 0.3


def test_a_very_slow_machine_multiplies_once_and_once_to_warm_up(pretend: Callable[..., Machine]) -> None:
    machine = pretend(lambda size: 10.0)
    assert measure_peak_macs_per_sec(CPU, "fp32") == pytest.approx(1_677_721.6)
    assert machine.sizes == [256, 256]


def test_about_the_time_that_was_given_is_taken(pretend: Callable[..., Machine]) -> None:
    machine = pretend(lambda size: 0.0001 * (size / 256) ** 3)
    measure_peak_macs_per_sec(CPU, "fp32", seconds=0.3)
    assert set(machine.sizes) == {256, 512, 1024}
    assert machine.now == pytest.approx(0.3, rel=0.2)


def test_a_size_that_does_not_fit_is_left_out(pretend: Callable[..., Machine]) -> None:
    machine = pretend(lambda size: 0.0001, largest=512)
    assert measure_peak_macs_per_sec(CPU, "fp32") == pytest.approx(1_342_177_280_000)  # 512³ in 0.1 ms
    assert set(machine.sizes) == {256, 512}


def test_where_none_fits_they_are_made_smaller(pretend: Callable[..., Machine]) -> None:
    machine = pretend(lambda size: 0.0001, largest=100)
    measure_peak_macs_per_sec(CPU, "fp32")
    assert set(machine.sizes) == {64}  # and 128 doesn't fit


def test_no_memory_at_all_is_raised(pretend: Callable[..., Machine]) -> None:
    pretend(lambda size: 0.0001, largest=0)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        measure_peak_macs_per_sec(CPU, "fp32")


def test_another_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def mm(*args: Tensor, out: Tensor) -> Tensor:
        raise RuntimeError("not implemented for 'BFloat16'")

    monkeypatch.setattr(torch, "mm", mm)
    with pytest.raises(RuntimeError, match="not implemented for 'BFloat16'"):
        measure_peak_macs_per_sec(CPU, "bf16")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_precision_is_that_of_all_three_matrices(
    monkeypatch: pytest.MonkeyPatch, precision: Literal["fp32", "bf16"], dtype: torch.dtype
) -> None:
    seen, multiply = set(), torch.mm

    def mm(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        seen.update({a.dtype, b.dtype, out.dtype})
        return multiply(a, b, out=out)

    monkeypatch.setattr(torch, "mm", mm)
    measure_peak_macs_per_sec(CPU, precision, seconds=0.01)
    assert seen == {dtype}


def test_random_generators_and_settings_are_as_before() -> None:
    def state() -> tuple[Any, ...]:
        settings = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_grad_enabled()
        return torch.get_rng_state().tolist(), random.getstate(), torch.is_inference_mode_enabled(), settings

    before = state()
    measure_peak_macs_per_sec(CPU, "fp32", seconds=0.01)
    assert state() == before


def test_autocast_around_it_changes_nothing() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert measure_peak_macs_per_sec(CPU, "fp32", seconds=0.01) > 0


@pytest.mark.accelerator
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_has_a_rate_and_keeps_its_generator(precision: Literal["fp32", "bf16"]) -> None:
    before = torch.cuda.get_rng_state()
    assert measure_peak_macs_per_sec(torch.device("cuda"), precision, seconds=0.05) > 0
    assert torch.equal(torch.cuda.get_rng_state(), before)
