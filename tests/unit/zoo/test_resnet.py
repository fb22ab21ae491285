from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn
from torchvision.models import resnet50 as torchvision_resnet50

from archcheck.zoo.resnet import (
    GlobalAvgPool2d,
    PreActivationBlock,
    ResBlk,
    Residual,
    ZeroPadShortcut,
    plain,
    resnet,
    resnet18_add_module,
    resnet18_d2l,
)


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def transplant(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers in order, whatever their names; a target on the meta device is moved to the CPU."""
    values = (value.clone() for value in source.state_dict().values())
    target.load_state_dict(dict(zip(target.state_dict(), values, strict=True)), assign=True)


# ------------------------------------------------------------------------------------------- d2l and course notes


def test_d2l_residual_block_keeps_the_shape() -> None:
    assert Residual(3, 3)(torch.randn(4, 3, 6, 6)).shape == (4, 3, 6, 6)


def test_d2l_residual_block_doubles_channels_and_halves_the_image() -> None:
    assert Residual(3, 6, use_1x1conv=True, stride=2)(torch.randn(4, 3, 6, 6)).shape == (4, 6, 3, 3)


def test_d2l_residual_block_adds_its_input_before_the_last_relu() -> None:
    block = Residual(3, 3).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(block(x), x.clamp(min=0))


def test_d2l_residual_block_that_cannot_add_its_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Residual\(3 -> 6 channels at stride 2\) can't add its input"):
        Residual(3, 6, stride=2)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 3), (3, 6)])
def test_resblk_keeps_height_and_width(in_channels: int, out_channels: int) -> None:
    assert ResBlk(in_channels, out_channels)(torch.randn(2, in_channels, 7, 5)).shape == (2, out_channels, 7, 5)


def test_resblk_shortcut_is_empty_where_channels_match_and_no_relu_follows_the_sum() -> None:
    block = ResBlk(3, 3).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 3, 6, 6)
    assert len(block.extra) == 0
    torch.testing.assert_close(block(x), x)
    assert [type(module).__name__ for module in ResBlk(3, 6).extra] == ["Conv2d", "BatchNorm2d"]


def test_d2l_resnet18_has_the_published_outputs() -> None:
    shapes = []
    with torch.device("meta"):
        net = resnet18_d2l()
        x = torch.empty(1, 1, 224, 224)
        for child in net.children():
            x = child(x)
            shapes.append(tuple(x.shape[1:]))
    images = [(64, 56, 56), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7), (512, 1, 1)]
    assert shapes == [*images, (512,), (10,)]
    assert count_params(net) == 11_178_378
    assert count_params(net.get_submodule("b2.0")) == 74_112


def test_add_module_resnet_equals_the_class_built_one_with_its_weights() -> None:
    built = resnet18_d2l()
    with torch.device("meta"):
        added = resnet18_add_module()
    transplant(built, added)
    x = torch.randn(2, 1, 33, 40)
    torch.testing.assert_close(added.train()(x), built.train()(x))
    torch.testing.assert_close(added.eval()(x), built.eval()(x))


def test_add_module_resnet_has_the_names_of_the_course_notes() -> None:
    with torch.device("meta"):
        names = [name for name, _ in resnet18_add_module().named_children()]
    blocks = [f"resnet_block{index}" for index in range(1, 5)]
    assert names == ["0", "1", "2", "3", *blocks, "global_avg_pool", "fc"]


def test_global_avg_pool_averages_any_image_size() -> None:
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(GlobalAvgPool2d()(x), x.mean(dim=(2, 3), keepdim=True))


# ------------------------------------------------------------------------------------------- the papers' networks


@pytest.mark.parametrize(
    ("depth", "num_params"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)],
)
def test_published_sizes(depth: int, num_params: int) -> None:
    with torch.device("meta"):
        assert count_params(resnet(depth)) == num_params  # torchvision's weights.meta


def test_resnet50_computes_what_torchvisions_does_with_its_weights() -> None:
    theirs = torchvision_resnet50(num_classes=7)
    with torch.device("meta"):
        ours = resnet(50, num_classes=7)
    transplant(theirs, ours)
    x = torch.randn(1, 3, 33, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("depth", [18, 34])
def test_plain_and_parameter_free_networks_have_no_parameters_in_their_shortcuts(depth: int) -> None:
    projections = 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)  # 1x1 convolutions and batch norms
    with torch.device("meta"):
        assert count_params(plain(depth)) == count_params(resnet(depth)) - projections
        assert count_params(resnet(depth, shortcut="parameter_free")) == count_params(plain(depth))


def test_plain_network_has_no_way_around_its_convolutions() -> None:
    net = plain(18, in_channels=1, num_classes=10).eval()
    nn.init.zeros_(net.get_submodule("layer1.0.residual.bn2").get_parameter("weight"))  # closes the first block
    with torch.no_grad():
        out = net.get_submodule("layer1.0")(torch.randn(1, 64, 8, 8))
    assert not out.any()


@pytest.mark.parametrize("size", [(6, 6), (7, 5)])
def test_parameter_free_shortcut_takes_every_second_pixel_and_appends_zeros(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    out = ZeroPadShortcut(3, 8, stride=2)(x)
    torch.testing.assert_close(out[:, :3], x[:, :, ::2, ::2])
    assert out.shape[1] == 8
    assert not out[:, 3:].any()


@pytest.mark.parametrize("depth", [50, 101])
def test_preactivation_networks_have_timms_size(depth: int) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(f"resnetv2_{depth}")
        assert count_params(resnet(depth, preactivation=True)) == count_params(theirs)


def test_preactivation_block_passes_its_raw_input_through_an_identity_shortcut() -> None:
    block = PreActivationBlock(8, 8, 1, bottleneck=False, shortcut="projection", first=False).eval()
    nn.init.zeros_(block.residual.get_submodule("conv2").get_parameter("weight"))
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("preactivation", [False, True])
@pytest.mark.parametrize("shortcut", ["projection", "parameter_free", "none"])
@pytest.mark.parametrize("depth", [18, 50])
def test_every_form_takes_images_of_any_size(depth: int, shortcut: str, preactivation: bool) -> None:
    with torch.device("meta"):
        net = resnet(depth, in_channels=1, num_classes=10, shortcut=shortcut, preactivation=preactivation)
        assert net(torch.empty(2, 1, 65, 33)).shape == (2, 10)


@pytest.mark.parametrize("build", [resnet, plain, resnet18_d2l, resnet18_add_module])
def test_a_narrower_network_has_a_share_of_the_weights(build: Callable[..., nn.Module]) -> None:
    with torch.device("meta"):
        narrow, wide = (dict(build(width_divisor=divisor).named_parameters()) for divisor in (2, 1))
    convs = [name for name, weight in wide.items() if weight.ndim == 4 and weight.shape[1] > 3]
    assert all(4 * narrow[name].numel() == wide[name].numel() for name in convs)
    assert len(convs) > 10


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="depth must be one of 18, 34, 50, 101, 152, got 20"):
        resnet(20)
    with pytest.raises(ValueError, match="shortcut must be one of projection, parameter_free, none, got 'pool'"):
        resnet(18, shortcut="pool")
    with pytest.raises(ValueError, match="num_classes must be positive, got 0"):
        resnet18_d2l(num_classes=0)
    with pytest.raises(ValueError, match="in_channels must be positive, got -1"):
        resnet18_add_module(in_channels=-1)
    with pytest.raises(ValueError, match="width_divisor must divide 64, got 3"):
        plain(width_divisor=3)
