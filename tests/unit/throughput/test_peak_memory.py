"""The most memory that a step holds, against counts by hand; a float32 takes four bytes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from archcheck.throughput.peak_memory import measure_peak_memory_bytes, resident_bytes

CPU = torch.device("cpu")


def million() -> Tensor:
    return torch.empty(1000, 1000)


def one_after_the_other() -> None:
    first = million()
    del first
    torch.empty(500, 1000)


def two_at_once() -> None:
    first, second = million(), million()
    del first, second


def kept_by_the_step() -> Tensor:
    torch.empty(10)
    return million()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (one_after_the_other, 4_000_000),
        (two_at_once, 8_000_000),
        (kept_by_the_step, 4_000_000),
        (lambda: million().neg(), 8_000_000),
        (lambda: million().double(), 12_000_000),
        (lambda: None, 0),
    ],
    ids=["one after the other", "two at once", "kept", "a negative", "doubles", "nothing"],
)
def test_the_most_that_a_step_allocates(step: Callable[[], object], expected: int) -> None:
    assert measure_peak_memory_bytes(step, CPU) == expected


def test_what_is_done_in_place_takes_none() -> None:
    tensor = million()
    assert measure_peak_memory_bytes(lambda: tensor.zero_(), CPU) == 0


def test_the_step_is_done_once() -> None:
    steps: list[int] = []
    measure_peak_memory_bytes(lambda: steps.append(1), CPU)
    assert steps == [1]


def test_residents_come_on_top() -> None:
    weight = million()
    assert measure_peak_memory_bytes(one_after_the_other, CPU, [weight]) == 8_000_000


def test_gradients_made_anew_count_once_however_often_it_is_measured() -> None:
    layer = nn.Linear(1000, 1000, bias=False)  # 4 MB, and as much for its gradient
    inputs = torch.ones(1, 1000)

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        layer(inputs).sum().backward()

    measured = [measure_peak_memory_bytes(step, CPU, [*layer.parameters(), inputs]) for _ in range(3)]
    outputs = 4_000 + 4 + 4  # the outputs, their sum, and the sum's gradient
    assert measured == [4_000_000 + 4_000 + 4_000_000 + outputs] * 3


def test_the_steps_error_goes_through_and_the_next_one_is_measured() -> None:
    def step() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        measure_peak_memory_bytes(step, CPU)
    assert measure_peak_memory_bytes(two_at_once, CPU) == 8_000_000


def test_a_user_who_is_profiling_goes_on_undisturbed() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as users:
        measured = measure_peak_memory_bytes(two_at_once, CPU)
        torch.ones(2).mul(3)
    assert measured is None
    assert "aten::mul" in {event.key for event in users.key_averages()}


def test_a_step_that_profiles_is_not_measured() -> None:
    def step() -> None:
        with torch.autograd.profiler.profile(use_kineto=True):
            million()

    assert measure_peak_memory_bytes(step, CPU) is None
    assert measure_peak_memory_bytes(two_at_once, CPU) == 8_000_000


def test_a_device_without_a_counter_is_not_measured() -> None:
    assert measure_peak_memory_bytes(two_at_once, torch.device("mps")) is None


def test_the_profiler_says_nothing_on_stderr_and_the_step_may(capfd: pytest.CaptureFixture[str]) -> None:
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        os.write(2, b"from the step\n")

    measure_peak_memory_bytes(step, CPU)
    assert capfd.readouterr().err == "from the step\n"


def test_a_gpus_own_counter_is_reset_before_the_step_and_read_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for owner, name in ((torch.cuda, "reset_peak_memory_stats"), (torch.accelerator, "synchronize")):
        monkeypatch.setattr(owner, name, lambda device, name=name: calls.append(name))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 123)
    assert measure_peak_memory_bytes(lambda: calls.append("step"), torch.device("cuda")) == 123
    assert calls == ["synchronize", "reset_peak_memory_stats", "step", "synchronize"]


@pytest.mark.accelerator
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpus_memory_from_before_counts() -> None:
    device = torch.device("cuda")
    before = torch.cuda.memory_allocated(device)
    weight = torch.empty(1024, 1024, device=device)  # 4 MiB
    measured = measure_peak_memory_bytes(lambda: torch.empty(2048, 1024, device=device), device)
    assert measured == before + 4 * 2**20 + 8 * 2**20
    del weight


def test_tensors_count_the_bytes_of_their_elements() -> None:
    assert resident_bytes([torch.zeros(3, 5), torch.zeros(7, dtype=torch.int64)]) == 60 + 56


def test_a_storage_shared_by_two_tensors_counts_once() -> None:
    table = torch.zeros(10, 10)
    assert resident_bytes([table, table.t(), nn.Parameter(table)]) == 400


def test_a_part_holds_the_whole_storage() -> None:
    assert resident_bytes([torch.zeros(10, 10)[0]]) == 400


def test_nothing_holds_nothing() -> None:
    assert resident_bytes(iter([])) == 0
