from __future__ import annotations

import pytest
import torch
from torch import nn

from archcheck.zoo.lenet import lenet5, lenet_bn


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_lenet5_has_the_published_size_and_layers() -> None:
    net = lenet5()
    shapes = {}
    x = torch.zeros(2, 1, 28, 28)
    for name, layer in net.named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert count_params(net) == 61_706
    picked = [shapes[name] for name in ("conv1", "pool1", "conv2", "pool2", "flatten", "fc1", "fc2", "fc3")]
    assert picked == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]


@pytest.mark.parametrize("hand_written", [False, True])
def test_lenet_bn_has_the_published_size(hand_written: bool) -> None:
    net = lenet_bn(hand_written=hand_written)
    assert count_params(net) == 44_878
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert net.get_submodule("fc1").get_parameter("weight").shape == (120, 256)


def test_hand_written_lenet_bn_computes_the_same_in_training_and_eval() -> None:
    theirs, ours = lenet_bn(), lenet_bn(hand_written=True)
    assert [name for name, _ in ours.named_children()] == [name for name, _ in theirs.named_children()]
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
    for seed in range(3):
        x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_other_images_and_classes() -> None:
    assert lenet5(num_classes=4, in_channels=3)(torch.zeros(2, 3, 28, 28)).shape == (2, 4)


@pytest.mark.parametrize("build", [lenet5, lenet_bn])
def test_impossible_arguments_are_refused(build: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        build(num_classes=1)
    with pytest.raises(ValueError, match="in_channels must be positive, got 0"):
        build(in_channels=0)
