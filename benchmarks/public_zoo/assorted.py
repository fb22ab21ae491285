"""Networks of smaller libraries: torch_geometric, x-transformers, monai, segmentation_models_pytorch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from public_zoo.entry import Entry

IDS: Final = "B,12:int64<50"
VOLUME: Final = "B,1,16,16,16"
GRAPH: Final = ("x=N,8", "edge_index=2,20:int64<6")
GRAPH_SIZES: Final = ("N=6,9",)


def build(model: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a network by the dotted name of its class, from keyword arguments; nothing is downloaded."""
    module, _, name = model.rpartition(".")
    network: nn.Module = getattr(importlib.import_module(module), name)(**config)
    return network


def language_model(wrapper: Mapping[str, Any], layers: Mapping[str, Any], *, causal: bool = True) -> nn.Module:
    """Build a transformer of x-transformers, as its README does: a wrapper around a stack of layers."""
    from x_transformers import Decoder, Encoder, TransformerWrapper

    stack = (Decoder if causal else Encoder)(dim=32, depth=2, heads=4, **layers)
    network: nn.Module = TransformerWrapper(num_tokens=50, max_seq_len=16, attn_layers=stack, **wrapper)
    return network


def image_classifier() -> nn.Module:
    """Build x-transformers' vision transformer."""
    from x_transformers import Encoder, ViTransformerWrapper

    stack = Encoder(dim=32, depth=2, heads=4)
    network: nn.Module = ViTransformerWrapper(image_size=32, patch_size=8, num_classes=5, attn_layers=stack)
    return network


def _entry(library: str, model: str, inputs: tuple[str, ...], config: Mapping[str, Any], label: str = "") -> Entry:
    args = {"model": f"{library}.{model}", "config": dict(config)}
    sizes = GRAPH_SIZES if any("=N," in text for text in inputs) else ()
    return Entry(label or model, "public_zoo.assorted:build", inputs, args, sizes)


def _graph(model: str, config: Mapping[str, Any], inputs: tuple[str, ...] = GRAPH) -> Entry:
    return _entry("torch_geometric.nn.models", model, inputs, config)


def _text(name: str, layers: Mapping[str, Any], wrapper: Mapping[str, Any] | None = None, **args: bool) -> Entry:
    target = "public_zoo.assorted:language_model"
    return Entry(name, target, (IDS,), {"wrapper": dict(wrapper or {}), "layers": dict(layers), **args})


def _medical(model: str, config: Mapping[str, Any], inputs: tuple[str, ...] = (VOLUME,), label: str = "") -> Entry:
    return _entry("monai.networks.nets", model, inputs, config, label)


def _segmentation(model: str, encoder: str = "resnet18") -> Entry:
    config = {"encoder_name": encoder, "encoder_weights": None, "classes": 3}
    label = f"{model}-{encoder}"
    return _entry(
        "segmentation_models_pytorch", model, ("B,3,128,128",) if model == "PAN" else ("B,3,64,64",), config, label
    )


GNN: Final = {"in_channels": 8, "hidden_channels": 16, "num_layers": 2, "out_channels": 4}
GEOMETRIC: Final = [
    _graph("GCN", GNN),
    _graph("GraphSAGE", GNN),
    _graph("GIN", GNN),
    _graph("GAT", {**GNN, "heads": 2}),
    _graph("EdgeCNN", GNN),
    _graph("MLP", {"channel_list": [8, 16, 4], "dropout": 0.5}, ("x=N,8",)),
    _graph("GraphUNet", {"in_channels": 8, "hidden_channels": 16, "out_channels": 4, "depth": 2}),
    _graph("PMLP", {**GNN}, GRAPH),
    _graph(
        "LINKX",
        {**GNN, "num_nodes": 6},
        ("x=6,8", "edge_index=2,20:int64<6"),
    ),
    _graph(
        "SGFormer",
        {"in_channels": 8, "hidden_channels": 16, "out_channels": 4, "gnn_num_layers": 2},
        (*GRAPH, "batch=N:int64<1"),
    ),
    _graph(
        "Polynormer",
        {"in_channels": 8, "hidden_channels": 16, "out_channels": 4, "local_layers": 2},
        (*GRAPH, "batch=N:int64<1"),
    ),
    _graph(
        "AttentiveFP",
        {**GNN, "edge_dim": 3, "num_timesteps": 2},
        ("x=6,8", "edge_index=2,20:int64<6", "edge_attr=20,3", "batch=6:int64<1"),
    ),
    _graph("LightGCN", {"num_nodes": 6, "embedding_dim": 8, "num_layers": 2}, ("edge_index=2,20:int64<6",)),
]

X_TRANSFORMERS: Final = [
    _text("gpt", {}),
    _text("bert", {}, causal=False),
    _text("rotary", {"rotary_pos_emb": True}),
    _text("alibi", {"alibi_pos_bias": True, "alibi_num_heads": 2}),
    _text("t5-bias", {"rel_pos_bias": True}),
    _text("rmsnorm-swiglu", {"use_rmsnorm": True, "ff_glu": True, "ff_swish": True, "ff_no_bias": True}),
    _text("grouped-query", {"attn_kv_heads": 2}),
    _text("qk-norm", {"attn_qk_norm": True}),
    _text("sandwich", {"sandwich_norm": True}),
    _text("residual-attention", {"residual_attn": True}),
    _text("talking-heads", {"attn_pre_talking_heads": True}),
    _text("memory-tokens", {}, {"num_memory_tokens": 4}),
    _text("gated-residual", {"gate_residual": True}),
    _text("shift-tokens", {"shift_tokens": 1}),
    _text("scalenorm", {"use_scalenorm": True}),
    _entry(
        "x_transformers",
        "XTransformer",
        ("src=B,12:int64<50", "tgt=B,7:int64<50"),
        {
            "dim": 32,
            "enc_num_tokens": 50,
            "enc_depth": 1,
            "enc_heads": 2,
            "enc_max_seq_len": 16,
            "dec_num_tokens": 50,
            "dec_depth": 1,
            "dec_heads": 2,
            "dec_max_seq_len": 16,
        },
    ),
    Entry("vit", "public_zoo.assorted:image_classifier", ("B,3,32,32",)),
]

PLAIN: Final = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
FLAT: Final = {**PLAIN, "spatial_dims": 2}
STEPS: Final = {"channels": [4, 8, 16], "strides": [2, 2]}
CODES: Final = {"channels": [4, 8], "strides": [2, 2]}
MONAI: Final = [
    _medical("UNet", {**PLAIN, **STEPS, "num_res_units": 2}),
    _medical("BasicUNet", {**FLAT, "features": [4, 4, 8, 8, 16, 4]}, ("B,1,32,32",)),
    _medical("BasicUNetPlusPlus", {**FLAT, "features": [4, 4, 8, 8, 16, 4]}, ("B,1,32,32",)),
    _medical("AttentionUnet", {**PLAIN, **STEPS}),
    _medical(
        "DynUNet",
        {
            **PLAIN,
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 16],
        },
    ),
    _medical(
        "DynUNet",
        {
            **PLAIN,
            "kernel_size": [3, 3, 3, 3],
            "strides": [1, 2, 2, 2],
            "upsample_kernel_size": [2, 2, 2],
            "filters": [4, 8, 8, 16],
            "deep_supervision": True,
            "res_block": True,
        },
        label="DynUNet-deep-supervision",
    ),
    _medical("SegResNet", {**PLAIN, "init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]}),
    _medical("SegResNetDS", {**PLAIN, "init_filters": 8, "blocks_down": [1, 1, 1]}),
    _medical(
        "SegResNetVAE",
        {
            "input_image_size": [16, 16, 16],
            "in_channels": 1,
            "out_channels": 2,
            "vae_nz": 8,
            "blocks_down": [1, 1, 1],
            "blocks_up": [1, 1],
        },
    ),
    _medical("VNet", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}, ("B,1,32,32",)),
    _medical(
        "UNETR",
        {
            "in_channels": 1,
            "out_channels": 2,
            "img_size": 16,
            "feature_size": 4,
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_heads": 4,
            "spatial_dims": 2,
        },
        ("B,1,16,16",),
    ),
    _medical(
        "SwinUNETR",
        {
            "in_channels": 1,
            "out_channels": 2,
            "feature_size": 12,
            "spatial_dims": 2,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 2,
        },
        ("B,1,64,64",),
    ),
    _medical(
        "ViT",
        {
            "in_channels": 1,
            "img_size": [16, 16, 16],
            "patch_size": [8, 8, 8],
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_layers": 2,
            "num_heads": 4,
            "classification": True,
        },
    ),
    _medical(
        "DenseNet121",
        {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 2,
            "block_config": [1, 1, 1, 1],
            "init_features": 8,
            "growth_rate": 4,
        },
        ("B,1,32,32",),
    ),
    _medical("HighResNet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}, ("B,1,8,8,8",)),
    _medical("AutoEncoder", {**PLAIN, **CODES}),
    _medical(
        "VarAutoEncoder",
        {"spatial_dims": 2, "in_shape": [1, 16, 16], "out_channels": 1, "latent_size": 4, **CODES},
        ("B,1,16,16",),
    ),
    _medical(
        "VQVAE",
        {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "channels": [8, 8],
            "num_res_layers": 1,
            "num_res_channels": [8, 8],
            "num_embeddings": 8,
            "embedding_dim": 4,
            "downsample_parameters": [[2, 4, 1, 1], [2, 4, 1, 1]],
            "upsample_parameters": [[2, 4, 1, 1, 0], [2, 4, 1, 1, 0]],
        },
        ("B,1,16,16",),
    ),
    _medical("Discriminator", {"in_shape": [1, 16, 16], **CODES}, ("B,1,16,16",)),
    _medical(
        "PatchDiscriminator", {"spatial_dims": 2, "channels": 8, "in_channels": 1, "num_layers_d": 2}, ("B,1,32,32",)
    ),
    _medical(
        "MedNeXt",
        {
            **PLAIN,
            "init_filters": 4,
            "kernel_size": 3,
            "blocks_down": [1, 1],
            "blocks_up": [1, 1],
            "blocks_bottleneck": 1,
        },
    ),
    _medical(
        "DiffusionModelUNet",
        {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "num_res_blocks": [1, 1],
            "channels": [8, 8],
            "attention_levels": [False, True],
            "norm_num_groups": 4,
            "num_head_channels": 4,
        },
        ("x=B,1,16,16", "timesteps=B:int64<1000"),
    ),
    _medical("RegUNet", {"spatial_dims": 2, "in_channels": 2, "num_channel_initial": 4, "depth": 2}, ("B,2,16,16",)),
    _medical(
        "SPADENet",
        {
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 1,
            "label_nc": 2,
            "is_vae": False,
            "input_shape": [16, 16],
            "channels": [8, 8],
            "z_dim": 4,
        },
        ("B,2,16,16",),
    ),
    _medical(
        "MILModel", {"num_classes": 2, "pretrained": False, "backbone": "resnet18", "mil_mode": "att"}, ("B,4,3,32,32",)
    ),
]

SEGMENTATION: Final = [
    *map(_segmentation, ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3")),
    *map(_segmentation, ("DeepLabV3Plus", "UPerNet", "Segformer")),
    _segmentation("Unet", "mobilenet_v2"),
    _segmentation("Unet", "efficientnet-b0"),
    _segmentation("FPN", "mit_b0"),
]
