"""Networks of libraries for images: vit-pytorch, kornia, open_clip, efficientnet-pytorch, geffnet and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch import nn

from public_zoo.entry import Entry

IMAGE: Final = ("B,3,32,32",)
LARGER: Final = ("B,3,64,64",)
VIT: Final = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 32, "depth": 2, "heads": 4, "mlp_dim": 64}
VIT_8: Final = {**VIT, "dim_head": 8}


def max_vit(depth: Sequence[int], window_size: int = 2, dim_head: int = 8, **settings: Any) -> nn.Module:
    """Build vit-pytorch's MaxViT, which takes its depths as a tuple only."""
    from vit_pytorch.max_vit import MaxViT

    network: nn.Module = MaxViT(
        num_classes=5, dim=16, depth=tuple(depth), dim_head=dim_head, window_size=window_size, **settings
    )
    return network


def matcher(**settings: Any) -> nn.Module:
    """Build kornia's LoFTR, small; `settings` are laid over its configuration."""
    from kornia.feature import LoFTR

    from public_zoo.entry import laid_over

    network: nn.Module = LoFTR(pretrained=None, config={**laid_over(LOFTR, settings), "resolution": (8, 2)})
    return network


def efficientnet(name: str = "efficientnet-b0", **settings: Any) -> nn.Module:
    """Build a network of efficientnet-pytorch without its weights."""
    from efficientnet_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name(name, num_classes=5, **settings)
    return network


def geffnet_model(name: str, **settings: Any) -> nn.Module:
    """Build a network of geffnet without its weights."""
    import geffnet

    network: nn.Module = geffnet.create_model(name, num_classes=5, pretrained=False, **settings)
    return network


def pretrained_model(name: str, num_classes: int = 1000) -> nn.Module:
    """Build a network of pretrainedmodels without its weights."""
    import pretrainedmodels

    network: nn.Module = getattr(pretrainedmodels, name)(num_classes=num_classes, pretrained=None)
    return network


def squeeze_and_excitation(blocks: Sequence[int] = (1, 1, 1, 1), **settings: Any) -> nn.Module:
    """Build a small SE-ResNeXt of pretrainedmodels."""
    from pretrainedmodels.models.senet import SENet, SEResNeXtBottleneck

    config: dict[str, Any] = {
        "groups": 4,
        "reduction": 8,
        "inplanes": 64,
        "input_3x3": False,
        "downsample_kernel_size": 1,
    }
    config |= {"downsample_padding": 0, "num_classes": 5, "dropout_p": None}
    network: nn.Module = SENet(SEResNeXtBottleneck, list(blocks), **{**config, **settings})
    return network


def yolo(config: str, activation: str | None = None, **settings: Any) -> nn.Module:
    """Build a network of ultralytics from the configuration that comes with it."""
    from ultralytics.nn.tasks import ClassificationModel, DetectionModel, PoseModel, SegmentationModel, yaml_model_load

    kind = {"seg": SegmentationModel, "cls": ClassificationModel, "pose": PoseModel}
    layers: dict[str, Any] = yaml_model_load(f"{config}.yaml")
    layers |= {"activation": activation} if activation else {}
    network: nn.Module = kind.get(config.rpartition("-")[2], DetectionModel)(layers, verbose=False, **settings)
    return network


def face_embedding(**settings: Any) -> nn.Module:
    """Build facenet-pytorch's network without its weights."""
    from facenet_pytorch import InceptionResnetV1

    network: nn.Module = InceptionResnetV1(pretrained=None, **settings)
    return network


def perceptual_distance(**settings: Any) -> nn.Module:
    """Build LPIPS without the weights of its backbone."""
    import lpips

    network: nn.Module = lpips.LPIPS(pretrained=False, pnet_rand=True, verbose=False, **settings)
    return network


def simclr(hidden: int = 32, layers: int = 2) -> nn.Module:
    """Build lightly's SimCLR: a backbone, and a head that is thrown away later."""
    from lightly.models.modules import SimCLRProjectionHead
    from torchvision.models import resnet18

    backbone = resnet18()
    backbone.fc = nn.Identity()
    return nn.Sequential(backbone, SimCLRProjectionHead(512, hidden, 16, num_layers=layers))


class BYOL(nn.Module):
    """Lightly's BYOL as its documentation has it: an online network, and a copy of it that follows."""

    def __init__(self, hidden: int = 32, momentum_head: bool = True) -> None:
        import copy

        from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
        from lightly.models.utils import deactivate_requires_grad
        from torchvision.models import resnet18

        super().__init__()
        self.backbone = resnet18()
        self.backbone.fc = nn.Identity()
        self.projection_head = BYOLProjectionHead(512, hidden, 16)
        self.prediction_head = BYOLPredictionHead(16, hidden, 16)
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.projection_head_momentum = copy.deepcopy(self.projection_head) if momentum_head else nn.Identity()
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.projection_head_momentum)

    def forward(self, image: Any) -> Any:
        """Return what the online network predicts, and what the other one makes of the image."""
        online = self.prediction_head(self.projection_head(self.backbone(image).flatten(1)))
        target = self.projection_head_momentum(self.backbone_momentum(image).flatten(1))
        return online, target.detach()


def packed_images(sizes: Mapping[str, int], seed: int) -> Any:
    """Make images of different sizes, packed two and two, as NaViT takes them."""
    import torch

    random = torch.Generator().manual_seed(seed)
    return [[torch.randn(3, 16, 8 * (1 + i), generator=random) for i in range(2)] for _ in range(sizes["B"])]


def pair_of_images(sizes: Mapping[str, int], seed: int) -> Any:
    """Make two grey images to be matched, in the map that LoFTR takes."""
    import torch

    random = torch.Generator().manual_seed(seed)
    return ({f"image{i}": torch.rand(sizes["B"], 1, 64, 64, generator=random) for i in range(2)},)


LOFTR: Final = {
    "backbone_type": "ResNetFPN",
    "fine_window_size": 5,
    "fine_concat_coarse_feat": True,
    "resnetfpn": {"initial_dim": 16, "block_dims": [16, 24, 32]},
    "coarse": {
        "d_model": 32,
        "d_ffn": 32,
        "nhead": 4,
        "layer_names": ["self", "cross"],
        "attention": "linear",
        "temp_bug_fix": False,
    },
    "match_coarse": {
        "thr": 0.0,
        "border_rm": 0,
        "match_type": "dual_softmax",
        "dsmax_temperature": 0.1,
        "skh_iters": 3,
        "skh_init_bin_score": 1.0,
        "skh_prefilter": True,
        "train_coarse_percent": 0.4,
        "train_pad_num_gt_min": 200,
    },
    "fine": {"d_model": 16, "d_ffn": 16, "nhead": 4, "layer_names": ["self", "cross"], "attention": "linear"},
}


def _vit(module: str, name: str, args: Mapping[str, Any], *changes: Mapping[str, Any]) -> Entry:
    return Entry(
        f"{name}-{module}" if name == "ViT" else name, f"vit_pytorch.{module}:{name}", IMAGE, args, (), changes=changes
    )


VIT_PYTORCH: Final = [
    _vit("vit", "ViT", VIT_8, {"heads": 8, "dim_head": 4}, {"pool": "mean"}, {"dropout": 0.1}, {"emb_dropout": 0.1}),
    _vit("simple_vit", "SimpleViT", VIT_8, {"patch_size": 4}, {"heads": 2}, {"mlp_dim": 128}),
    _vit("cait", "CaiT", {**VIT_8, "cls_depth": 1}, {"cls_depth": 2}, {"layer_dropout": 0.1}, {"heads": 2}),
    _vit("deepvit", "DeepViT", VIT_8, {"pool": "mean"}, {"dropout": 0.1}),
    _vit("xcit", "XCiT", {**VIT_8, "cls_depth": 1}, {"local_patch_kernel_size": 5}, {"heads": 2}),
    _vit(
        "t2t",
        "T2TViT",
        {"image_size": 32, "num_classes": 5, "dim": 32, "depth": 2, "heads": 4, "mlp_dim": 64, "dim_head": 8},
        {"t2t_layers": [[3, 2], [3, 2]]},
        {"pool": "mean"},
    ),
    _vit(
        "cct",
        "CCT",
        {"img_size": 32, "embedding_dim": 32, "num_layers": 2, "num_heads": 4, "num_classes": 5},
        {"n_conv_layers": 2},
        {"attention_dropout": 0.0},
        {"positional_embedding": "learnable"},
        {"pooling_kernel_size": 2, "pooling_padding": 0},
    ),
    _vit(
        "cvt",
        "CvT",
        {"num_classes": 5, "s1_emb_dim": 16, "s2_emb_dim": 16, "s3_emb_dim": 32, "s2_heads": 1, "s2_depth": 1}
        | {"s3_heads": 2, "s3_depth": 1},
        {"s1_emb_kernel": 5},
        {"s3_kv_proj_stride": 1},
        {"dropout": 0.1},
    ),
    _vit(
        "cross_vit",
        "CrossViT",
        {"image_size": 32, "num_classes": 5, "sm_dim": 16, "lg_dim": 32, "sm_patch_size": 4, "lg_patch_size": 8}
        | {"sm_enc_heads": 2, "sm_enc_mlp_dim": 32, "lg_enc_depth": 1, "lg_enc_heads": 2, "lg_enc_mlp_dim": 32}
        | {"cross_attn_depth": 1, "cross_attn_heads": 2, "depth": 1},
        {"cross_attn_depth": 2},
        {"dropout": 0.0},
    ),
    Entry(
        "MaxViT",
        "public_zoo.images:max_vit",
        IMAGE,
        {"depth": [1, 1]},
        changes=({"window_size": 4}, {"mbconv_shrinkage_rate": 0.5}, {"dropout": 0.0}, {"dim_head": 4}),
    ),
    Entry(
        "NaViT",
        "vit_pytorch.na_vit:NaViT",
        args=VIT_8,
        inputs_from="public_zoo.images:packed_images",
        changes=({"dropout": 0.1}, {"heads": 8, "dim_head": 4}, {"token_dropout_prob": 0.2}),
    ),
]

KORNIA: Final = [
    Entry(
        "TinyViT",
        "kornia.models.tiny_vit:TinyViT",
        LARGER,
        {"img_size": 64, "num_classes": 5, "embed_dims": [16, 32, 32, 64], "depths": [1, 1, 2, 1]}
        | {"num_heads": [1, 2, 2, 4], "window_sizes": [4, 4, 4, 2]},
        changes=({"window_sizes": [4, 8, 4, 2]}, {"local_conv_size": 5}, {"drop_path_rate": 0.1}, {"mlp_ratio": 2.0}),
    ),
    Entry(
        "VisionTransformer",
        "kornia.models.vit:VisionTransformer",
        IMAGE,
        {"image_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4},
        changes=({"num_heads": 2}, {"dropout_rate": 0.1}, {"dropout_attn": 0.1}),
    ),
    Entry(
        "MobileViT",
        "kornia.models.vit_mobile:MobileViT",
        LARGER,
        {"mode": "xxs"},
        changes=({"mode": "xs"}, {"patch_size": [1, 1]}, {"dropout": 0.1}),
    ),
    Entry(
        "RRDBNet",
        "kornia.models.rrdbnet:RRDBNet",
        ("B,3,16,16",),
        {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 2, "num_grow_ch": 4},
        changes=({"num_block": 3}, {"scale": 2}, {"num_grow_ch": 8}),
    ),
    Entry(
        "LoFTR",
        "public_zoo.images:matcher",
        inputs_from="public_zoo.images:pair_of_images",
        changes=(
            {"coarse": {"attention": "full"}},
            {"match_coarse": {"dsmax_temperature": 0.2}},
            {"coarse": {"layer_names": ["cross", "self"]}},
        ),
    ),
]

OPEN_CLIP: Final = [
    Entry(
        "CLIP",
        "open_clip:CLIP",
        ("image=B,3,32,32", "text=B,16:int64<50"),
        {
            "embed_dim": 16,
            "vision_cfg": {"layers": 2, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 32},
            "text_cfg": {"context_length": 16, "vocab_size": 50, "width": 32, "heads": 4, "layers": 2},
        },
        changes=(
            {"quick_gelu": True},
            {"vision_cfg": {"ls_init_value": 0.1}},
            {"text_cfg": {"no_causal_mask": True}},
            {"vision_cfg": {"pool_type": "avg"}},
            {"text_cfg": {"heads": 2}},
        ),
    ),
    Entry(
        "CLIP-resnet",
        "open_clip:CLIP",
        ("image=B,3,64,64", "text=B,16:int64<50"),
        {
            "embed_dim": 16,
            "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "head_width": 8, "patch_size": None, "image_size": 64},
            "text_cfg": {"context_length": 16, "vocab_size": 50, "width": 32, "heads": 4, "layers": 1},
        },
        changes=({"quick_gelu": True}, {"vision_cfg": {"layers": [1, 2, 1, 1]}}, {"vision_cfg": {"head_width": 16}}),
    ),
    Entry(
        "CoCa",
        "open_clip:CoCa",
        ("image=B,3,32,32", "text=B,16:int64<50"),
        {
            "embed_dim": 32,
            "vision_cfg": {"layers": 1, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 32}
            | {"attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
            "text_cfg": {"context_length": 16, "vocab_size": 50, "width": 32, "heads": 4, "layers": 1}
            | {"embed_cls": True, "output_tokens": True},
            "multimodal_cfg": {"context_length": 16, "vocab_size": 50, "width": 32, "heads": 4, "layers": 1}
            | {"attn_pooler_heads": 4},
        },
        changes=({"vision_cfg": {"attn_pooler_heads": 2}}, {"multimodal_cfg": {"layers": 2}}, {"pad_id": 1}),
    ),
]

EFFICIENTNET: Final = [
    Entry(
        f"EfficientNet-{name[-2:]}",
        "public_zoo.images:efficientnet",
        LARGER,
        {"name": name},
        changes=({"batch_norm_epsilon": 1e-5}, {"batch_norm_momentum": 0.9}, {"drop_connect_rate": 0.0}),
    )
    for name in ("efficientnet-b0", "efficientnet-b1")
]

GEFFNET: Final = [
    Entry(
        name,
        "public_zoo.images:geffnet_model",
        LARGER,
        {"name": name},
        changes=({"drop_rate": 0.2}, {"drop_connect_rate": 0.2}, {"bn_eps": 1e-3}, {"bn_momentum": 0.01}),
    )
    for name in ("mobilenetv3_large_075", "mixnet_s", "efficientnet_lite0")
]

PRETRAINEDMODELS: Final = [
    Entry(
        "SE-ResNeXt",
        "public_zoo.images:squeeze_and_excitation",
        ("B,3,224,224",),
        changes=(
            {"groups": 8},
            {"reduction": 16},
            {"dropout_p": 0.2},
            {"downsample_kernel_size": 3, "downsample_padding": 1},
        ),
    ),
    Entry(
        "bninception",
        "public_zoo.images:pretrained_model",
        ("B,3,224,224",),
        {"name": "bninception"},
        changes=({"num_classes": 100}, {"name": "resnet34"}),
    ),
]

ULTRALYTICS: Final = [
    Entry(
        name,
        "public_zoo.images:yolo",
        LARGER,
        {"config": name},
        changes=({"activation": "torch.nn.ReLU()"}, {"nc": 5}),
    )
    for name in ("yolov8n", "yolo11n", "yolov8n-seg", "yolov8n-cls", "yolov5n", "rtdetr-resnet50")
]

FACENET: Final = [
    Entry(
        "InceptionResnetV1",
        "public_zoo.images:face_embedding",
        ("B,3,96,96",),
        changes=({"classify": True, "num_classes": 5}, {"dropout_prob": 0.2}),
    )
]
LPIPS: Final = [
    Entry(
        f"LPIPS-{name}",
        "public_zoo.images:perceptual_distance",
        ("B,3,64,64", "B,3,64,64"),
        {"net": name},
        changes=({"lpips": False}, {"spatial": True}, {"use_dropout": False}),
    )
    for name in ("alex", "squeeze")
]
LIGHTLY: Final = [
    Entry("SimCLR", "public_zoo.images:simclr", LARGER, changes=({"layers": 3}, {"hidden": 64})),
    Entry("BYOL", "public_zoo.images:BYOL", LARGER, changes=({"hidden": 64}, {"momentum_head": False})),
]
