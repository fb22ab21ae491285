"""Accelerators that code names, taken for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.network.named_devices import AcceleratorsOnCpu, NamedDevice, told_of_named_devices

CUDA: Any = torch.cuda  # whose tensor types nobody declares


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(2, device="cuda"),
        lambda: torch.arange(2.0, device=torch.device("cuda", 1)),
        lambda: torch.tensor([1.0], device=0),
        lambda: torch.ones(2).cuda(),
        lambda: torch.ones(2).to("cuda:0"),
        lambda: torch.ones(2).to(torch.device("xpu"), torch.float64),
        lambda: torch.ones(2).to(device="cuda", dtype=torch.float64),
        lambda: nn.Linear(3, 2, device="cuda").cuda().to("cuda").weight,
        lambda: torch.ones(2).new_zeros(3, device="cuda"),
        lambda: torch.ones(2).type(CUDA.FloatTensor),
        lambda: torch.ones(2).type("torch.cuda.LongTensor"),
        lambda: torch.ones(2).type("torch.cuda.FloatTensor", non_blocking=True),
    ],
)
def test_what_is_put_on_an_accelerator_is_on_the_cpu(make: Callable[[], Tensor]) -> None:
    with AcceleratorsOnCpu():
        made = make()
    assert made.device == torch.device("cpu")
    assert made.isfinite().all()


def test_a_type_of_an_accelerator_gives_its_dtype_too() -> None:
    with AcceleratorsOnCpu():
        assert torch.ones(2).type("torch.cuda.LongTensor").type() == "torch.LongTensor"
        assert torch.ones(2).type() == "torch.FloatTensor"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_memory_is_pinned_for_no_accelerator() -> None:
    with AcceleratorsOnCpu():
        assert torch.ones(2).pin_memory().tolist() == [1, 1]
        assert torch.ones(2, pin_memory=True).tolist() == [1, 1]


def test_who_listens_is_told_of_each_line_that_names_an_accelerator() -> None:
    told: list[NamedDevice] = []
    with told_of_named_devices(told.append), AcceleratorsOnCpu():
        torch.ones(2).cuda()
        torch.ones(2, device="cpu").to("xpu:1")
        torch.ones(2).to(torch.float64)
    torch.ones(2).to("cpu")
    assert told == [NamedDevice("cuda"), NamedDevice("xpu")]


def test_other_arguments_of_a_move_stay() -> None:
    with AcceleratorsOnCpu():
        assert torch.ones(2).to("cuda", torch.float64).dtype is torch.float64
        assert torch.ones(2, device="meta").is_meta
        assert torch.ones(2).to(torch.float16).dtype is torch.float16
