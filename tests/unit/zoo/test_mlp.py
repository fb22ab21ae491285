from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from archcheck.zoo.mlp import mlp


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_two_two_one_computes_the_textbook_formula() -> None:
    net = mlp()
    with torch.no_grad():
        for value, parameter in zip([0.5, -1.0, 2.0, 0.1], net.parameters(), strict=True):
            parameter.fill_(value)
    hidden = 1 / (1 + math.exp(-(0.5 * 1 + 0.5 * 3 - 1)))
    torch.testing.assert_close(net(torch.tensor([[1.0, 3.0]])), torch.tensor([[2 * 2.0 * hidden + 0.1]]))
    assert count_params(net) == 9


def test_output_relu_cuts_negative_values_and_none_leaves_them() -> None:
    x = torch.randn(16, 2)
    for output_activation in ("relu", None):
        net = mlp(output_activation=output_activation)
        nn.init.constant_(net.get_submodule("fc2").get_parameter("bias"), -100.0)
        assert bool((net(x) == 0).all()) is (output_activation == "relu")


@pytest.mark.parametrize(
    ("activation", "at_minus_one"),
    [("sigmoid", 0.26894142), ("tanh", -0.76159416), ("relu", 0.0), ("leaky_relu", -0.01)],
)
def test_offers_the_four_activations(activation: str, at_minus_one: float) -> None:
    net = mlp(activation=activation)
    actual = net.get_submodule("activation1")(torch.tensor(-1.0))
    assert float(actual) == pytest.approx(at_minus_one)


def test_flattens_images() -> None:
    net = mlp((784, 256, 10), activation="relu", output_activation=None)
    assert net(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert count_params(net) == 203_530  # 784 * 256 + 256 + 256 * 10 + 10


def test_unknown_activation_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="one of sigmoid, tanh, relu, leaky_relu, got 'swish'"):
        mlp(activation="swish")


@pytest.mark.parametrize("widths", [(2,), (2, 0, 1)])
def test_impossible_widths_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two positive integers"):
        mlp(widths)
