from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import alexnet as torchvision_alexnet

from archcheck.zoo.alexnet import alexnet, alexnet_d2l


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_computes_what_torchvisions_does_with_its_weights() -> None:
    theirs, ours = torchvision_alexnet(num_classes=7).eval(), alexnet(num_classes=7).eval()
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
        x = torch.randn(1, 3, 63, 63)
        torch.testing.assert_close(ours(x), theirs(x))


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert count_params(alexnet()) == 61_100_840  # torchvision's weights.meta
        assert count_params(alexnet_d2l()) == 46_764_746  # summed by hand over d2l's eight layers


def test_d2l_form_flattens_6400_features_at_224() -> None:
    with torch.device("meta"):
        net = alexnet_d2l()
        features = net.get_submodule("features")(torch.empty(2, 1, 224, 224))
        assert features.shape == (2, 256, 5, 5)
        assert net(torch.empty(2, 1, 224, 224)).shape == (2, 10)


@pytest.mark.parametrize("image_size", [65, 96, 131, 227])
def test_d2l_form_fits_other_image_sizes(image_size: int) -> None:
    with torch.device("meta"):
        net = alexnet_d2l(in_channels=3, num_classes=4, image_size=image_size)
        assert net(torch.empty(2, 3, image_size, image_size)).shape == (2, 4)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 65"):
        alexnet_d2l(image_size=64)
    with pytest.raises(ValueError, match="in_channels and num_classes must be positive, got 3 and 0"):
        alexnet(num_classes=0)
