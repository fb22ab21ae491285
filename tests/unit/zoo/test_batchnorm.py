from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archcheck.zoo.batchnorm import BatchNorm


def build_pair(num_dims: int, num_features: int = 5) -> tuple[BatchNorm, nn.BatchNorm1d | nn.BatchNorm2d]:
    """A hand-written layer and torch's in float64, both with the same scale and shift."""
    ours = BatchNorm(num_features, num_dims).double()
    theirs = (nn.BatchNorm1d(num_features) if num_dims == 2 else nn.BatchNorm2d(num_features)).double()
    with torch.no_grad():
        ours.gamma.copy_(torch.linspace(0.5, 2, num_features))
        ours.beta.copy_(torch.linspace(-1, 1, num_features))
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)
    return ours, theirs


def make_batch(num_dims: int, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    shape = (4, 5) if num_dims == 2 else (4, 5, 3, 2)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * (step + 1) + step


@pytest.mark.parametrize("num_dims", [2, 4])
def test_equals_torch_over_training_steps_and_in_eval(num_dims: int) -> None:
    ours, theirs = build_pair(num_dims)
    for step in range(4):
        x = make_batch(num_dims, step)
        torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(ours.moving_mean, theirs.running_mean)
        torch.testing.assert_close(ours.moving_var, theirs.running_var)
    x = make_batch(num_dims, 9)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("num_dims", [2, 4])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_torchs(num_dims: int, training: bool) -> None:
    ours, theirs = build_pair(num_dims)
    inputs = [make_batch(num_dims, 1).requires_grad_() for _ in range(2)]
    for net, x in zip((ours, theirs), inputs, strict=True):
        net.train(training)
        net(x).pow(3).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(ours.gamma.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.beta.grad, theirs.bias.grad)


def test_hand_computed_batch() -> None:
    layer = BatchNorm(1, 2)
    out = layer(torch.tensor([[1.0], [3.0]]))  # mean 2, biased variance 1, unbiased 2
    torch.testing.assert_close(out, torch.tensor([[-1.0], [1.0]]), atol=1e-5, rtol=0)
    assert float(layer.moving_mean) == pytest.approx(0.9 * 0 + 0.1 * 2)
    assert float(layer.moving_var) == pytest.approx(0.9 * 1 + 0.1 * 2)


def test_eval_leaves_the_moving_averages_alone() -> None:
    layer = build_pair(4)[0].eval()
    layer(make_batch(4, 3))
    assert layer.moving_mean.tolist() == [0.0] * 5
    assert layer.moving_var.tolist() == [1.0] * 5


def test_works_on_the_meta_device() -> None:
    with torch.device("meta"):
        assert BatchNorm(3, 4)(torch.empty(2, 3, 4, 4)).shape == (2, 3, 4, 4)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4)])
def test_other_inputs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expects 2 dimensions with 5 features, got an input of shape \(2, "):
        BatchNorm(5, 2)(torch.zeros(shape))


def test_a_single_value_per_feature_is_refused_in_training_only() -> None:
    layer = BatchNorm(5, 2)
    with pytest.raises(ValueError, match="more than 1 value per feature in training"):
        layer(torch.zeros(1, 5))
    assert layer.eval()(torch.zeros(1, 5)).shape == (1, 5)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"num_dims must be 2 \(fully connected\) or 4 \(convolution\), got 3"):
        BatchNorm(5, 3)
    with pytest.raises(ValueError, match="num_features must be positive, got 0"):
        BatchNorm(0, 2)
