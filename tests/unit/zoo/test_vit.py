from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer as TorchvisionViT

from archcheck.zoo.vit import VisionTransformer, vit


def count_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def build_vit_b_16() -> VisionTransformer:
    return vit(224, 16, 3, 1000, dim=768, depth=12, num_heads=12, mlp_dim=3072)


def test_vit_b_16_has_the_published_size() -> None:
    with torch.device("meta"):
        assert count_params(build_vit_b_16()) == 86_567_656  # torchvision's weights.meta


def test_small_vit_has_the_size_counted_by_hand() -> None:
    embedding = (16 * 128 + 128) + 128 + 50 * 128  # patches, class token, 49 + 1 positions
    block = 2 * 256 + (128 * 384 + 384) + (128 * 128 + 128) + (128 * 256 + 256) + (256 * 128 + 128)
    with torch.device("meta"):
        assert count_params(vit()) == embedding + 6 * block + 256 + (128 * 10 + 10)


def test_computes_what_torchvisions_does_with_its_weights() -> None:
    theirs = TorchvisionViT(image_size=32, patch_size=8, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=96)
    ours = vit(32, 8, 3, 1000, dim=64, depth=2, num_heads=4, mlp_dim=96)
    nn.init.normal_(theirs.heads.get_submodule("head").get_parameter("weight"))  # zero as torchvision builds it
    values = theirs.state_dict()
    order = [key for key in values if key.startswith("conv_proj")]
    order = ["class_token", "encoder.pos_embedding", *order]  # ours declares both tokens first
    order += [key for key in values if key not in order]
    ours.load_state_dict(dict(zip(ours.state_dict(), (values[key] for key in order), strict=True)))
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=1e-4)


def test_other_images() -> None:
    assert vit(image_size=32, in_channels=3, depth=1)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"image_size": 30}, "patch_size must divide image_size, got patches of 4 in images of 30"),
        ({"num_heads": 3}, "num_heads must divide dim, got 3 heads and a dim of 128"),
        ({"depth": 0}, "depth must be positive, got 0"),
    ],
)
def test_impossible_arguments_are_refused(kwargs: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vit(**kwargs)
