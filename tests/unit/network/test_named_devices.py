"""Accelerators that code names, taken for the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from archcheck.network.named_devices import AcceleratorsOnCpu


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
    ],
)
def test_what_is_put_on_an_accelerator_is_on_the_cpu(make: Callable[[], Tensor]) -> None:
    with AcceleratorsOnCpu():
        made = make()
    assert made.device == torch.device("cpu")
    assert made.isfinite().all()


def test_other_arguments_of_a_move_stay() -> None:
    with AcceleratorsOnCpu():
        assert torch.ones(2).to("cuda", torch.float64).dtype is torch.float64
        assert torch.ones(2, device="meta").is_meta
        assert torch.ones(2).to(torch.float16).dtype is torch.float16
