"""Constant factors that were lost get their name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.unit.function.diagnosis.asking import LINEAR, SQUARE, Forward, Layers, asked, cause, computing


class Scaled(nn.Module):
    """Multiplies by a number of its own, or has it and doesn't."""

    def __init__(self, scale: float, *, is_used: bool = True) -> None:
        super().__init__()
        self.scale, self.is_used = scale, is_used

    def forward(self, x: Tensor) -> Tensor:
        return x.sin() * self.scale if self.is_used else x.sin()


class Tempered(nn.Module):
    """Divides by a number of its own, or has it and doesn't."""

    def __init__(self, *, is_used: bool = True) -> None:
        super().__init__()
        self.temperature, self.is_used = 7.3, is_used

    def forward(self, x: Tensor) -> Tensor:
        return (x / self.temperature if self.is_used else x).softmax(-1)


class Decays(nn.Module):
    """A scale that a network computes with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(8))


def scaled(*scales: float, is_used: bool) -> Callable[[], nn.Module]:
    def forward(net: Any, x: Tensor) -> Tensor:
        for i in range(len(scales)):
            x = getattr(net, f"s{i}")(net.a(x))
        return net.b(x)  # type: ignore[no-any-return]

    layers = {f"s{i}": partial(Scaled, scale, is_used=is_used) for i, scale in enumerate(scales)}
    return computing(forward, {**SQUARE, **layers})


def test_a_number_that_a_module_keeps_and_does_not_use_any_more() -> None:
    recorded, now = scaled(0.37, is_used=True), scaled(0.37, is_used=False)
    assert cause(recorded, now) == "a factor of 0.37 (scale) is missing after sin"


def test_the_same_number_kept_by_several_modules_is_another_in_each() -> None:
    recorded, now = scaled(0.37, 0.59, is_used=True), scaled(0.37, 0.59, is_used=False)
    assert asked(recorded, now, "", inner=("s0", 0)) == "a factor of 0.37 (scale) is missing after sin (2 times)"


def test_a_number_that_a_module_divided_by() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        return net.b(net.tempered(net.a(x)))  # type: ignore[no-any-return]

    recorded, now = (
        computing(forward, {**SQUARE, "tempered": partial(Tempered, is_used=one)}) for one in (True, False)
    )
    assert cause(recorded, now) == "a division by 7.3 (temperature) is missing before softmax"


def decayed(net: Any, x: Tensor, *, is_negative: bool) -> Tensor:
    rates = -net.decays.log.exp() if is_negative else net.decays.log.exp()
    return net.b((net.a(x).sigmoid() * rates).exp())  # type: ignore[no-any-return]


def test_the_sign_of_what_is_computed_from_parameters_alone() -> None:
    layers: Layers = {**SQUARE, "decays": Decays}
    recorded, now = (computing(partial(decayed, is_negative=one), layers) for one in (True, False))
    assert cause(recorded, now) == "a factor of -1 is missing after exp"


WRITTEN: dict[str, tuple[Forward, Forward, str]] = {
    "the 30 of a sine": (
        lambda net, x: net.b((net.a(x) * 30).sin()),
        lambda net, x: net.b(net.a(x).sin()),
        "a factor of 30 is missing before sin",
    ),
    "1 for the 30 of a sine": (
        lambda net, x: net.b((net.a(x) * 30).sin()),
        lambda net, x: net.b((net.a(x) * 1).sin()),
        "mul 1 now, 30 was recorded",
    ),
    "the full turn of an angle": (
        lambda net, x: net.b((net.a(x) * 2 * torch.pi).cos()),
        lambda net, x: net.b(net.a(x).cos()),
        "a factor of 6.283 is missing before cos",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_number_that_people_write_down(name: str) -> None:
    recorded, now, message = WRITTEN[name]
    assert cause(computing(recorded, LINEAR), computing(now, LINEAR)) == message
