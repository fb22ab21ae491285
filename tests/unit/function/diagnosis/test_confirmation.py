"""A cause is told where it brings back all that was recorded, and not where it does by accident."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tests.unit.function.diagnosis.asking import LINEAR, SQUARE, Layers, asked, cause, computing
from tests.unit.function.running import WORDS


def test_what_fits_small_values_only_is_not_told() -> None:
    recorded = computing(lambda net, x: net.b(net.a(x).clamp(0, 6)), LINEAR)
    now = computing(lambda net, x: net.b(net.a(x).clamp(0, 0.01)), LINEAR)
    assert cause(recorded, now) == "an activation: clamp now, relu6 was recorded"


def test_what_fits_one_mode_only_is_not_told() -> None:
    def forward(net: Any, x: Tensor, in_eval: Callable[[Tensor], Tensor]) -> Tensor:
        hidden = net.a(x)
        return net.b(hidden.tanh() if net.training else in_eval(hidden))  # type: ignore[no-any-return]

    recorded = computing(lambda net, x: net.b(net.a(x).tanh() if net.training else net.a(x).sigmoid()), LINEAR)
    now = computing(lambda net, x: net.b(net.a(x).tanh()), LINEAR)
    assert cause(recorded, now) is None  # tanh in train mode is as it was
    recorded, now = (computing(partial(forward, in_eval=one), LINEAR) for one in (torch.sigmoid, torch.relu))
    assert cause(recorded, now) == "an activation: relu now, sigmoid was recorded"


def test_one_number_can_be_had_by_many_a_factor_and_has_no_cause() -> None:
    recorded = computing(lambda net, x: net.a(x).erf().mean(), LINEAR)
    assert cause(recorded, computing(lambda net, x: net.a(x).sinc().mean(), LINEAR)) is None


def test_one_number_has_a_cause_that_holds_at_large_values_too() -> None:
    recorded = computing(lambda net, x: net.a(x).pow(2).mean(), LINEAR)
    now = computing(lambda net, x: net.a(x).pow(2).sum(), LINEAR)
    assert cause(recorded, now) == "sum now, mean was recorded"


def test_the_same_number_everywhere_has_no_cause() -> None:
    recorded = computing(lambda net, x: net.a(x).exp().sign(), LINEAR)
    assert cause(recorded, computing(lambda net, x: net.a(x).sin().sign(), LINEAR)) is None


def test_an_output_that_says_little_of_its_layer_has_no_cause() -> None:
    def forward(net: Any, x: Tensor, *, centred: bool) -> Tensor:
        hidden = net.a(x).abs().sqrt()
        hidden = (hidden - hidden.mean(-1, keepdim=True)) if centred else hidden
        return (hidden.cumsum(-1) > 0).double().mean(-1)  # type: ignore[no-any-return]

    recorded, now = (computing(partial(forward, centred=one), LINEAR) for one in (True, False))
    assert cause(recorded, now) is None  # a layer norm would give the same signs


def test_what_lies_beyond_a_bound_everywhere_has_no_cause_in_front_of_it() -> None:
    def forward(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return activation(net.a(x).clamp(-1e-9, 1e-9)).relu().mean()

    recorded, now = (computing(partial(forward, activation=one), LINEAR) for one in (torch.erf, torch.sinc))
    assert cause(recorded, now) is None


def test_draws_in_layers_before_it_stay_the_same_in_train_mode() -> None:
    layers: Layers = {**SQUARE, "first": partial(nn.Dropout, 0.2), "last": partial(nn.Dropout, 0.2)}

    def forward(net: Any, x: Tensor, dim: int) -> Tensor:
        scores = net.a(net.first(x)) @ net.b(x).mT  # (B, T, T)
        return net.last(scores.softmax(dim)) @ net.c(x)  # type: ignore[no-any-return]

    recorded, now = (computing(partial(forward, dim=dim), layers) for dim in (-1, -2))
    assert cause(recorded, now, WORDS) == "softmax dim=-2 now, -1 was recorded"


def test_numbers_that_a_layer_is_called_with_are_no_operations() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, factor: float) -> Tensor:
            return x * factor

    layers: Layers = {**SQUARE, "scaled": Scaled, "drop": partial(nn.Dropout, 0.2)}

    def forward(net: Any, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        return net.b(activation(net.drop(net.scaled(net.a(x), 0.5))))  # type: ignore[no-any-return]

    recorded, now = (computing(partial(forward, activation=one), layers) for one in (torch.tanh, torch.sigmoid))
    assert asked(recorded, now, "b") == "an activation: sigmoid now, tanh was recorded"
    assert asked(recorded, now, "b", kind="train") == "an activation: sigmoid now, tanh was recorded"
