from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import vgg11 as torchvision_vgg11
from torchvision.models import vgg16 as torchvision_vgg16

from archcheck.zoo.vgg import vgg, vgg_block


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("depth", "image_size", "num_params"),
    [(11, 224, 43_093_322), (11, 96, 22_121_802), (16, 224, 43_436_986), (19, 224, 43_769_082)],
)
def test_quarter_width_sizes_of_the_course_notes(depth: int, image_size: int, num_params: int) -> None:
    with torch.device("meta"):
        net = vgg(depth, 1, 10, width_divisor=4, image_size=image_size)
        assert count_params(net) == num_params
        assert net(torch.empty(2, 1, image_size, image_size)).shape == (2, 10)


def test_vgg11_blocks_have_d2ls_outputs() -> None:
    shapes = []
    with torch.device("meta"):
        x = torch.empty(2, 1, 224, 224)
        for name, layer in vgg(11, in_channels=1, num_classes=10).named_children():
            x = layer(x)
            if name.startswith(("block", "flatten")):
                shapes.append(tuple(x.shape[1:]))
    assert shapes == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7), (25_088,)]


@pytest.mark.parametrize(
    ("depth", "num_params"), [(11, 132_863_336), (13, 133_047_848), (16, 138_357_544), (19, 143_667_240)]
)
def test_full_width_sizes_are_torchvisions(depth: int, num_params: int) -> None:
    with torch.device("meta"):
        assert count_params(vgg(depth)) == num_params


def test_vgg16_parameters_come_in_torchvisions_order() -> None:
    with torch.device("meta"):
        shapes = [parameter.shape for parameter in vgg().parameters()]
        assert shapes == [parameter.shape for parameter in torchvision_vgg16(init_weights=False).parameters()]


def test_convolutions_compute_what_torchvisions_do_with_their_weights() -> None:
    with torch.device("meta"):  # the classifier's 124 million weights are not needed
        theirs, ours = torchvision_vgg11(init_weights=False), vgg(11)
    features = nn.Sequential(*(ours.get_submodule(f"block{index}") for index in range(1, 6))).to_empty(device="cpu")
    theirs_features = theirs.features.to_empty(device="cpu")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for mine, other in zip(features.parameters(), theirs_features.parameters(), strict=True):
            mine.copy_(other.normal_(std=0.05))
        torch.testing.assert_close(features(x), theirs_features(x))


def test_softmax_is_an_option_that_turns_logits_into_probabilities() -> None:
    logits_net = vgg(11, 1, 4, width_divisor=64, image_size=32).eval()
    probabilities_net = vgg(11, 1, 4, width_divisor=64, image_size=32, softmax=True).eval()
    probabilities_net.load_state_dict(logits_net.state_dict())
    x = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(probabilities_net(x), logits_net(x).softmax(dim=1))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"depth": 12}, "depth must be one of 11, 13, 16, 19, got 12"),
        ({"image_size": 31}, "image_size must be at least 32"),
        ({"width_divisor": 3}, "width_divisor must divide 64, got 3"),
        ({"in_channels": 0}, "must be positive, got 0, 1000 and 4096"),
        ({"hidden_size": 0}, "must be positive, got 3, 1000 and 0"),
    ],
)
def test_impossible_arguments_are_refused(kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vgg(**kwargs)  # type: ignore[arg-type]


def test_block_without_convolutions_is_refused() -> None:
    with pytest.raises(ValueError, match="num_convs must be positive, got 0"):
        vgg_block(0, 3, 64)
