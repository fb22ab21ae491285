"""What libraries' networks say of their own input; the sizes are those of the configurations given here."""

from __future__ import annotations

from typing import Any

import pytest

from archcheck.discovery.search import find_input


def test_timm_says_its_size() -> None:
    timm = pytest.importorskip("timm")
    found = find_input(lambda: timm.create_model("resnet10t"), {}).assumption
    assert found is not None
    assert (found.value, found.source) == (["B", 3, 176, 176], "timm's pretrained_cfg")


def test_torchvision_s_weights_were_trained_at_a_size() -> None:
    models = pytest.importorskip("torchvision.models")
    found = find_input(lambda: models.inception_v3(weights=None, init_weights=False), {}).assumption
    assert found is not None
    assert (found.value, found.source) == (["B", 3, 299, 299], "torchvision's own weights")


SMALL = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("Bert", {**SMALL, "vocab_size": 90}, {"input_ids": {"shape": ["B", 16], "dtype": "int64", "below": 90}}),
        ("ViT", {**SMALL, "image_size": 24, "patch_size": 8}, {"pixel_values": ["B", 3, 24, 24]}),
        (
            "T5",
            {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 70},
            {
                "input_ids": {"shape": ["B", 16], "dtype": "int64", "below": 70},
                "decoder_input_ids": {"shape": ["B", 16], "dtype": "int64", "below": 70},
            },
        ),
        (
            "LayoutLM",
            {**SMALL, "vocab_size": 90, "max_2d_position_embeddings": 60},
            {
                "input_ids": {"shape": ["B", 16], "dtype": "int64", "below": 90},
                "bbox": {"shape": ["B", 16, 4], "dtype": "int64", "below": 60, "sorted": True},
            },
        ),
    ],
)
def test_transformers_configurations_are_read(name: str, config: dict[str, Any], expected: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    make = getattr(transformers, f"{name}Model")
    found = find_input(lambda: make(getattr(transformers, f"{name}Config")(**config)), {}).assumption
    assert found is not None
    assert found.value == expected
    assert found.source == "the transformers configuration"


def test_patches_of_a_video_come_with_how_many_there_are() -> None:
    """The towers of vision-language models take rows of 3 * 2 * 14 * 14 numbers, and a grid of as many rows."""
    qwen = pytest.importorskip("transformers.models.qwen2_vl.modeling_qwen2_vl")
    config = qwen.Qwen2VLVisionConfig(depth=1, embed_dim=32, hidden_size=32, num_heads=2, mlp_ratio=1)
    found = find_input(lambda: qwen.Qwen2VisionTransformerPretrainedModel(config), {}).assumption
    assert found is not None
    grid = {"shape": [1, 3], "dtype": "int64", "between": [4, 4]}
    assert found.value == {"hidden_states": [64, 1176], "grid_thw": grid}


def test_diffusers_configurations_are_read() -> None:
    diffusers = pytest.importorskip("diffusers")

    def unet() -> Any:
        return diffusers.UNet2DConditionModel(
            sample_size=16, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=12,
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip

    found = find_input(unet, {}).assumption
    assert found is not None
    assert found.value == {
        "sample": ["B", 4, 16, 16],
        "timestep": {"shape": ["B"], "dtype": "int64", "below": 1000},
        "encoder_hidden_states": ["B", 16, 12],
    }
