"""Networks of diffusers from tiny random configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import diffusers
from torch import nn

from public_zoo.entry import Entry

STEP: Final = "timestep=B:int64<1000"
LATENT: Final = "sample=B,4,16,16"
TEXT: Final = "encoder_hidden_states=B,5,8"
IMAGE: Final = ("sample=B,3,32,32",)

UNET: Final = {
    "sample_size": 16,
    "layers_per_block": 1,
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 8,
    "attention_head_dim": 2,
}
AUTOENCODER: Final = {
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
}
HEADS: Final = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2}


def build(model: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a network by the name of its class, from a configuration; nothing is downloaded."""
    model_class: Any = getattr(diffusers, model)
    network: nn.Module = model_class(**config)
    return network


def _entry(model: str, inputs: tuple[str, ...], config: Mapping[str, Any], label: str = "") -> Entry:
    return Entry(label or model, "public_zoo.diffusion:build", inputs, {"model": model, "config": dict(config)})


ENTRIES: Final = [
    _entry("UNet2DConditionModel", (LATENT, STEP, TEXT), UNET),
    _entry(
        "UNet2DConditionModel",
        (LATENT, STEP, TEXT, 'added_cond_kwargs={"text_embeds": ["B", 16], "time_ids": ["B", 6]}'),
        {
            **UNET,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64,
        },
        "UNet2DConditionModel-SDXL",
    ),
    _entry(
        "UNet2DModel",
        ("sample=B,3,16,16", STEP),
        {
            "sample_size": 16,
            "block_out_channels": [8, 16],
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "attention_head_dim": 4,
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
        },
    ),
    _entry(
        "UNet1DModel",
        ("sample=B,14,16", STEP),
        {
            "block_out_channels": [8, 16],
            "in_channels": 14,
            "out_channels": 14,
            "time_embedding_type": "positional",
            "use_timestep_embedding": True,
            "flip_sin_to_cos": False,
            "freq_shift": 1.0,
            "out_block_type": "OutConv1DBlock",
            "mid_block_type": "MidResTemporalBlock1D",
            "down_block_types": ["DownResnetBlock1D", "DownResnetBlock1D"],
            "up_block_types": ["UpResnetBlock1D"],
            "act_fn": "swish",
        },
    ),
    _entry(
        "UNet3DConditionModel",
        ("sample=B,4,3,16,16", STEP, TEXT),
        {
            "sample_size": 16,
            "layers_per_block": 1,
            "block_out_channels": [8, 16],
            "norm_num_groups": 4,
            "down_block_types": ["CrossAttnDownBlock3D", "DownBlock3D"],
            "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D"],
            "cross_attention_dim": 8,
            "attention_head_dim": 4,
        },
    ),
    _entry(
        "ControlNetModel",
        (LATENT, STEP, TEXT, "controlnet_cond=B,3,32,32"),
        {
            "block_out_channels": [8, 16],
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "cross_attention_dim": 8,
            "attention_head_dim": 2,
            "conditioning_embedding_out_channels": [4, 8],
        },
    ),
    _entry(
        "DiTTransformer2DModel",
        ("hidden_states=B,4,8,8", STEP, "class_labels=B:int64<10"),
        {**HEADS, "sample_size": 8, "patch_size": 2, "num_embeds_ada_norm": 10, "out_channels": 8},
    ),
    _entry(
        "PixArtTransformer2DModel",
        (
            "hidden_states=B,4,8,8",
            TEXT,
            STEP,
            'added_cond_kwargs={"resolution": ["B", 2], "aspect_ratio": ["B", 1]}',
        ),
        {
            **HEADS,
            "sample_size": 8,
            "patch_size": 2,
            "cross_attention_dim": 16,
            "caption_channels": 8,
            "use_additional_conditions": False,
        },
    ),
    _entry(
        "SD3Transformer2DModel",
        ("hidden_states=B,4,8,8", "encoder_hidden_states=B,5,16", "pooled_projections=B,12", STEP),
        {
            **HEADS,
            "sample_size": 8,
            "patch_size": 2,
            "in_channels": 4,
            "out_channels": 4,
            "joint_attention_dim": 16,
            "caption_projection_dim": 16,
            "pooled_projection_dim": 12,
            "pos_embed_max_size": 8,
        },
    ),
    _entry(
        "FluxTransformer2DModel",
        (
            "hidden_states=B,16,4",
            "encoder_hidden_states=B,5,16",
            "pooled_projections=B,12",
            "timestep=B",
            "img_ids=16,3",
            "txt_ids=5,3",
        ),
        {
            "patch_size": 1,
            "in_channels": 4,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 16,
            "pooled_projection_dim": 12,
            "axes_dims_rope": [4, 4, 8],
        },
    ),
    _entry(
        "Transformer2DModel",
        ("hidden_states=B,8,8,8", TEXT),
        {**HEADS, "in_channels": 8, "norm_num_groups": 4, "cross_attention_dim": 8},
    ),
    _entry(
        "PriorTransformer",
        ("hidden_states=B,16", STEP, "proj_embedding=B,16", "encoder_hidden_states=B,7,16"),
        {**HEADS, "embedding_dim": 16, "num_embeddings": 7},
    ),
    _entry("AutoencoderKL", IMAGE, AUTOENCODER),
    _entry(
        "AutoencoderKL", ("sample=B,3,32,32",), {**AUTOENCODER, "mid_block_add_attention": False}, "AutoencoderKL-plain"
    ),
    _entry("VQModel", IMAGE, {**AUTOENCODER, "num_vq_embeddings": 16, "latent_channels": 3}),
    _entry(
        "AutoencoderTiny",
        IMAGE,
        {
            "encoder_block_out_channels": [8, 8],
            "decoder_block_out_channels": [8, 8],
            "num_encoder_blocks": [1, 2],
            "num_decoder_blocks": [2, 1],
        },
    ),
]
