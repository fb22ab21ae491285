"""Which networks compute the same, what goes in, and what may be wrong with the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from public_zoo.language import BART, SMALL, VISION

Build = tuple[str, Mapping[str, Any]]  # a function below, and its arguments
IMAGE: Final = "[B, 3, 224, 224]"
SMALL_IMAGE: Final = "[B, 3, 32, 32]"
PIXELS: Final = f"{{pixel_values: {SMALL_IMAGE}}}"
IDS: Final = "{input_ids: {shape: [B, 12], dtype: int64, below: 99}}"
MASKED: Final = (
    "{input_ids: {shape: [B, 12], dtype: int64, below: 99}, attention_mask: {shape: [B, 12], dtype: int64, below: 2}}"
)
TRANSLATED: Final = (
    "{input_ids: {shape: [B, 12], dtype: int64, below: 99},"
    " decoder_input_ids: {shape: [B, 7], dtype: int64, below: 99}}"
)
TOKENS: Final = "[B, 6, 32]"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two builds of one function.

    Attributes:
        plants: the defects that the first is built with, one at a time.
        weights: what the second's weights are made of, where nothing finds it.
    """

    name: str
    ours: Build
    theirs: Build
    input: str
    plants: tuple[str, ...]
    weights: Mapping[str, str] = field(default_factory=dict)


def _vision(
    name: str, other: str, plants: tuple[str, ...], args: Mapping[str, Any] | None = None, size: str = IMAGE
) -> Pair:
    ours, theirs = (("networks", f"{lib}_net") for lib in ("torchvision", "timm"))
    return Pair(
        f"torchvision {name}, timm {other}",
        (":".join(ours), {"name": name}),
        (":".join(theirs), {"name": other, "args": args or {}}),
        size,
        plants,
    )


def _attention(model: str, config: Mapping[str, Any], plants: tuple[str, ...], given: str = IDS) -> Pair:
    args = {"model": model, "config": config}
    ours, theirs = (("networks:transformers_net", {**args, "attention": one}) for one in ("eager", "sdpa"))
    return Pair(f"transformers {model}, eager and SDPA", ours, theirs, given, plants)


def _handwritten(function: str, **args: Any) -> Build:
    return (f"handwritten:{function}", args)


def _transformers(model: str, config: Mapping[str, Any], output: str, attention: str = "eager") -> Build:
    args = {"model": model, "config": config, "output": output, "attention": attention}
    return ("networks:transformers_net", args)


_GPT2: Final = {
    "vocab_size": 99, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4,
    "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
}  # fmt: skip
_DISTIL: Final = {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_VIT_B16: Final = {
    "image_size": 224, "patch_size": 16, "in_channels": 3, "num_classes": 1000,
    "dim": 768, "depth": 12, "num_heads": 12, "mlp_dim": 3072,
}  # fmt: skip
_TINY_VIT: Final = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "mlp_ratio": 2}
_CONVNEXT: Final = {
    "image_size": 64, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "num_labels": 5, "layer_norm_eps": 1e-6,
}  # fmt: skip
_SWIN: Final = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4, "drop_path_rate": 0.0}
_BEIT: Final = {
    "image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "num_labels": 5, "use_relative_position_bias": True, "layer_norm_eps": 1e-6,
    "drop_path_rate": 0.1,
}  # fmt: skip
_TINY_BEIT: Final = {
    "img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "drop_path_rate": 0.1,
}  # fmt: skip
_NEOX: Final = {**SMALL, "rotary_pct": 0.25}
_PROJECTION: Final = "model.model.layers.*.self_attn.{0}_proj.weight"
_ROPE: Final = f"reshape(permute(reshape({_PROJECTION}, 4, 2, 4, 32), 0, 2, 1, 3), 32, 32)"

PAIRS: Final = (
    _vision("resnet18", "resnet18", ("eps", "activation", "pooling")),
    _vision("resnet50", "resnet50", ("eps", "activation", "pooling")),
    _vision("resnext50_32x4d", "resnext50_32x4d", ("eps",)),
    _vision("vgg11_bn", "vgg11_bn", ("eps", "activation", "pooling"), {"drop_rate": 0.5}),
    _vision("mobilenet_v2", "mobilenetv2_100", ("eps", "activation"), {"drop_rate": 0.2}),
    _vision("mnasnet1_0", "mnasnet_100", ("eps",), {"drop_rate": 0.2}),
    _vision("densenet121", "densenet121", ("eps", "activation")),
    _vision("regnet_y_400mf", "regnety_004", ("eps", "activation")),
    _vision("efficientnet_b0", "efficientnet_b0", ("eps", "activation"), {"drop_rate": 0.2, "drop_path_rate": 0.2}),
    _vision("convnext_tiny", "convnext_tiny", ("eps", "activation"), {"drop_path_rate": 0.1}),
    Pair(
        "torchvision inception_v3 without the auxiliary head, timm inception_v3",
        ("networks:torchvision_net", {"name": "inception_v3", "args": {"aux_logits": False, "init_weights": False}}),
        ("networks:timm_net", {"name": "inception_v3", "args": {"drop_rate": 0.5}}),
        "[B, 3, 299, 299]",
        ("eps",),
    ),
    _vision("vit_b_16", "vit_base_patch16_224", ("eps", "activation")),
    _vision("swin_t", "swin_tiny_patch4_window7_224", ("eps", "activation"), {"drop_path_rate": 0.2}),
    Pair(
        "zoo resnet(50), torchvision resnet50",
        ("networks:zoo_net", {"module": "resnet", "name": "resnet", "args": {"depth": 50}}),
        ("networks:torchvision_net", {"name": "resnet50"}),
        IMAGE,
        ("eps", "activation"),
    ),
    Pair(
        "zoo vit, torchvision vit_b_16",
        ("networks:zoo_net", {"module": "vit", "name": "vit", "args": _VIT_B16}),
        ("networks:torchvision_net", {"name": "vit_b_16"}),
        IMAGE,
        ("eps", "activation"),
    ),
    _attention("BertModel", SMALL, ("eps", "activation", "scale"), MASKED),
    _attention("RobertaModel", SMALL, ("eps", "activation", "scale"), MASKED),
    _attention("DistilBertModel", _DISTIL, ("eps", "activation"), MASKED),
    _attention("GPT2LMHeadModel", _GPT2, ("eps", "activation")),
    _attention("LlamaForCausalLM", {**SMALL, "num_key_value_heads": 2}, ("eps", "activation", "scale")),
    _attention("Qwen2ForCausalLM", {**SMALL, "num_key_value_heads": 2}, ("eps", "scale")),
    _attention("GPTNeoXForCausalLM", _NEOX, ("eps", "scale")),
    _attention("ViTModel", VISION, ("eps", "activation", "scale"), PIXELS),
    _attention("BartModel", BART, ("eps", "scale"), TRANSLATED),
    Pair(
        "transformers GPT-2, nanoGPT's",
        ("networks:transformers_net", {"model": "GPT2LMHeadModel", "config": _GPT2, "output": "logits"}),
        _handwritten("nano_gpt"),
        IDS,
        ("eps", "activation"),
    ),
    Pair(
        "nanoGPT's, transformers GPT-2",
        _handwritten("nano_gpt"),
        _transformers("GPT2LMHeadModel", _GPT2, "logits", "sdpa"),
        IDS,
        ("eps", "activation", "scale", "mask"),
    ),
    Pair(
        "GPT with a tied head, and with a head of its own",
        _handwritten("nano_gpt"),
        _handwritten("nano_gpt", tied=False),
        IDS,
        ("eps", "mask"),
    ),
    Pair(
        "transformers Llama, Meta's",
        _transformers("LlamaForCausalLM", {**SMALL, "rms_norm_eps": 1e-6}, "logits"),
        _handwritten("llama"),
        IDS,
        ("eps", "scale"),
        {
            "layers.*.wq.weight": _ROPE.format("q"),
            "layers.*.wk.weight": _ROPE.format("k"),
        },
    ),
    Pair(
        "transformers ViT, timm's",
        (
            "networks:transformers_net",
            {
                "model": "ViTForImageClassification",
                "config": {**VISION, "num_labels": 5, "layer_norm_eps": 1e-6, "hidden_dropout_prob": 0.0},
                "output": "logits",
            },
        ),
        (
            "networks:timm_net",
            {
                "name": "vit_base_patch16_224",
                "args": {**_TINY_VIT, "num_classes": 5},
            },
        ),
        SMALL_IMAGE,
        ("eps", "activation"),
    ),
    Pair(
        "transformers Dinov2, timm's ViT",
        _transformers("Dinov2Model", {**VISION, "mlp_ratio": 2, "drop_path_rate": 0.0}, "last_hidden_state"),
        (
            "networks:timm_net",
            {
                "name": "vit_base_patch16_224",
                "args": {**_TINY_VIT, "num_classes": 0, "global_pool": "", "init_values": 1.0},
            },
        ),
        SMALL_IMAGE,
        ("eps", "activation", "scale"),
    ),
    Pair(
        "transformers ResNet-50, timm's",
        _transformers("ResNetForImageClassification", {"num_labels": 5}, "logits"),
        ("networks:timm_net", {"name": "resnet50", "args": {"num_classes": 5}}),
        "[B, 3, 64, 64]",
        ("eps", "activation"),
    ),
    Pair(
        "transformers ConvNext with timm's eps, timm's",
        _transformers("ConvNextForImageClassification", _CONVNEXT, "logits"),
        (
            "networks:timm_net",
            {"name": "convnext_tiny", "args": {"dims": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "num_classes": 5}},
        ),
        "[B, 3, 64, 64]",
        ("eps", "activation"),
    ),
    Pair(
        "transformers Swin without stochastic depth, timm's",
        _transformers("SwinForImageClassification", {**_SWIN, "image_size": 64, "num_labels": 5}, "logits"),
        (
            "networks:timm_net",
            {"name": "swin_tiny_patch4_window7_224", "args": {**_SWIN, "img_size": 64, "num_classes": 5}},
        ),
        "[B, 3, 64, 64]",
        ("eps", "activation"),
    ),
    Pair(
        "transformers BEiT, timm's",
        _transformers("BeitForImageClassification", _BEIT, "logits"),
        ("networks:timm_net", {"name": "beit_base_patch16_224", "args": {**_TINY_BEIT, "num_classes": 5}}),
        SMALL_IMAGE,
        ("eps", "activation"),
    ),
    Pair(
        "nn.MultiheadAttention, separate layers",
        _handwritten("attention", kind="fused"),
        _handwritten("attention", kind="separate"),
        TOKENS,
        (),
    ),
    Pair(
        "separate layers, nn.MultiheadAttention",
        _handwritten("attention", kind="separate"),
        _handwritten("attention", kind="fused"),
        TOKENS,
        ("scale",),
    ),
    Pair(
        "separate layers called k, q, v; nn.MultiheadAttention",
        _handwritten("attention", kind="separate", order="kqv"),
        _handwritten("attention", kind="fused"),
        TOKENS,
        ("scale",),
    ),
    Pair(
        "separate layers called q, k, v, and k, v, q",
        _handwritten("attention", kind="separate"),
        _handwritten("attention", kind="separate", order="kvq"),
        TOKENS,
        ("scale",),
    ),
    Pair(
        "separate layers, GPT-NeoX's head by head",
        _handwritten("attention", kind="separate"),
        _handwritten("attention", kind="headwise"),
        TOKENS,
        ("scale",),
    ),
    Pair(
        "an encoder layer written out, nn.TransformerEncoderLayer",
        _handwritten("encoder"),
        _handwritten("torch_encoder"),
        TOKENS,
        ("eps", "activation", "scale"),
    ),
)  # fmt: skip
