"""Where the cause of a difference is looked for first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from archcheck.function.diagnosis.candidates import nearest_first, positions_in_loops
from archcheck.function.diagnosis.constants import common_factor, missing_factor
from archcheck.function.diagnosis.likely_cause import likely_cause
from archcheck.function.diagnosis.op_calls import OpCall
from archcheck.function.diagnosis.operators import one_too_many, other_sign
from archcheck.function.diagnosis.pass_notes import NotedOp
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import DifferingCall
from tests.unit.function.diagnosis.asking import LINEAR, Layers, asked, computing
from tests.unit.function.running import inputs_of


class Deep(nn.Module):
    """Residual layers with a tanh, and one with another activation."""

    def __init__(self, num_layers: int, odd: int = -1) -> None:
        super().__init__()
        self.layers, self.odd = nn.ModuleList(nn.Linear(4, 4) for _ in range(num_layers)), odd

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            hidden = layer(x)
            x = x + 0.01 * (hidden.relu() if i == self.odd else hidden.tanh())
        return x


def test_what_ran_before_the_first_call_inside_that_differs_comes_first() -> None:
    config = FingerprintConfig(inputs_of([4, 4]))
    record = fingerprint(lambda: Deep(200), config)
    call = DifferingCall("", 0, "eval", record.root.numbers, inner=("layers.101", 0))
    found = likely_cause(lambda: Deep(200, odd=100), config, call)
    assert found == "an activation: relu now, tanh was recorded"


def test_nan_is_looked_into_where_it_begins() -> None:
    recorded = computing(lambda net, x: net.b(net.a(x).abs().log().sin()), LINEAR)
    now = computing(lambda net, x: net.b(net.a(x).log().sin()), LINEAR)
    assert asked(recorded, now, "b") == "an abs is missing before log"


def test_nan_from_the_layers_before_has_no_cause() -> None:
    num_passes = 0

    class Logarithm(nn.Module):
        def __init__(self, *, of_size: bool) -> None:
            super().__init__()
            self.of_size = of_size

        def forward(self, x: Tensor) -> Tensor:
            nonlocal num_passes
            num_passes += 1
            return (x.abs() if self.of_size else x).log()

    def build(of_size: bool) -> NetworkFactory:
        layers: Layers = {**LINEAR, "log": partial(Logarithm, of_size=of_size)}
        return computing(lambda net, x: net.b(net.log(net.a(x)).sin()), layers)

    recorded, now = build(of_size=True), build(of_size=False)
    assert asked(recorded, now, "b") is None
    assert num_passes < 10


class Placed(nn.Module):
    """A layer behind a function that is its own layer's."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.function(x))  # type: ignore[no-any-return]


def test_the_same_mistake_behind_the_first_call_that_differs_is_undone_with_it() -> None:
    """The row that has the numbers lies behind both."""

    def build(function: Callable[[Tensor], Tensor]) -> NetworkFactory:
        layers: Layers = {**LINEAR, "one": partial(Placed, function), "two": partial(Placed, function)}
        return computing(lambda net, x: net.b(net.a(net.two(net.one(x)))), layers)

    def swish(x: Tensor) -> Tensor:
        return F.silu(x)

    def rectified(x: Tensor) -> Tensor:
        return F.relu(x)

    found = asked(build(swish), build(rectified), "b", inner=("one.fc", 0))
    assert found == "an activation: relu now, silu was recorded (2 times)"


def test_what_the_layer_is_not_computed_from_is_tried_last() -> None:
    num_passes = 0

    def forward(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        nonlocal num_passes
        num_passes += 1
        hidden, aside = net.a(x), x
        made = activation(hidden)
        for _ in range(3):
            aside = aside.cos().relu().sigmoid().tanh() + 1
            aside = aside.exp().log1p().sqrt().sin() * 2
        return net.b(made), aside  # type: ignore[return-value]

    recorded, now = (computing(partial(forward, activation=one), LINEAR) for one in (torch.sigmoid, torch.tanh))
    assert asked(recorded, now, "b") == "an activation: tanh now, sigmoid was recorded"
    assert num_passes < 40


@pytest.mark.parametrize("in_place", [True, False])
def test_what_was_written_in_place_is_followed_through_the_memory(in_place: bool) -> None:
    def forward(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        part = activation(net.a(x))
        made = torch.zeros_like(part)
        view = made[:, :16]
        view = view.add_(part) if in_place else view + part
        return net.b(made if in_place else view)  # type: ignore[no-any-return]

    recorded, now = (computing(partial(forward, activation=one), LINEAR) for one in (torch.sigmoid, torch.tanh))
    assert asked(recorded, now, "b") == "an activation: tanh now, sigmoid was recorded"


def noted(position: int, *path: str) -> NotedOp:
    return NotedOp(
        position, OpCall(torch.relu, (), {}), "", False, (("", 0),), (path[0],), tuple((one,) for one in path)
    )


def test_a_helper_that_is_called_from_several_places_is_no_loop() -> None:
    helped = [noted(i, "helper", f"line {i}") for i in range(5)]
    looped = [noted(i, "helper", "line of a loop") for i in range(5, 10)]
    assert positions_in_loops([*helped, *looped]) == {5, 6, 7, 8, 9}


def test_everything_is_tried_at_what_is_near_before_much_is_at_the_rest() -> None:
    tiers = [[noted(i, "here")] for i in range(5)]
    few, some, more, many = ((rule,) for rule in (other_sign, one_too_many, common_factor, missing_factor))
    tried = [
        (tuple(one.position for one in ops), rules[0]) for ops, rules in nearest_first(tiers, [few, some, more, many])
    ]
    near = ((0,), (1,), (2,))
    assert tried == [
        *((one, rule) for rule in (other_sign, one_too_many, common_factor) for one in near),
        *(((3, 4), rule) for rule in (other_sign, one_too_many)),
        *((one, missing_factor) for one in near),
        *(((3, 4), rule) for rule in (common_factor, missing_factor)),
    ]
