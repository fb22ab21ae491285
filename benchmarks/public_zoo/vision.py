"""All networks of torchvision, and 150 of timm of different families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, Final

from torchvision import models

from public_zoo.entry import Entry

IMAGE: Final = ("B,3,224,224",)
SIZES: Final = {"inception_v3": 299}
CLIPS: Final = {"s3d": (16, 224), "mvit_v1_b": (16, 224), "mvit_v2_s": (16, 224)}
IMAGES: Final = ("[[3, 224, 224], [3, 224, 224]]",)
UNSCALED: Final = {"min_size": 224, "max_size": 224}  # by default images are scaled to 800 pixels
FEW: Final = {"rpn_post_nms_top_n_test": 50, "box_detections_per_img": 5}  # regions that the heads are run on

# By the size that they take: for each of timm's modules the smallest network of each name's beginning, those of all
# modules in turn, without those over 100 M parameters, over 400 pixels (but csatv2), and timm's own `test_` networks.
TIMM_NAMES: Final = {
    106: """
        tinynet_e
    """,
    176: """
        resnet10t
    """,
    192: """
        dm_nfnet_f0 nf_regnet_b0
    """,
    224: """
        beit_base_patch16_224 beitv2_base_patch16_224 caformer_s18 cait_xxs24_224 coat_tiny coatnet_pico_rw_224
        coatnext_nano_rw_224 convformer_s18 convit_tiny convmixer_768_32 convnext_zepto_rms convnextv2_atto
        cpubone_nano cspnext_tiny davit_tiny deit_tiny_patch16_224 densenet121 densenetblur121d dla46_c dla46x_c
        dla60_res2next dpn48b eca_nfnet_l0 eca_vovnet39b ecaresnext26t_32x4d efficientformer_l1
        efficientformerv2_s0 efficientvim_m1 efficientvit_b0 efficientvit_m0 ese_vovnet19b_slim_dw
        eva02_tiny_patch14_224 fasternet_t0 fbnetv3_b focalnet_tiny_srf gcvit_xxtiny gernet_s ghostnet_050
        ghostnetv3_050 gmixer_12_224 gmlp_ti16_224 haloregnetz_b hardcorenas_b hgnet_tiny hgnetv2_b0
        hiera_tiny_224 hrnet_w18_small iformer_t inception_next_atto lcnet_035 lcnetv2_small legacy_seresnet18
        levit_128s lowformer_b0 mambaout_femto mixer_s16_224 mnasnet_small mobilenet_edgetpu_100 mobilenetv2_035
        mobilenetv3_small_050 mobileone_s1 mvitv2_tiny nest_tiny nextvit_small nfnet_l0 pit_ti_224
        poolformer_s12 poolformerv2_s12 pvt_v2_b0 rdnet_tiny regnetv_040 regnetx_002 regnety_002 regnetz_005
        regnetz_b16 repghostnet_050 repvgg_a0 repvit_m1 res2next50 resmlp_12_224 resnest14d resnetblur18
        resnetv2_18 rexnet_100 rexnetr_100 samvit_base_patch16_224 selecsls42 semnasnet_050 sequencer2d_s
        seresnet18 shvit_s1 skresnet18 skresnext50_32x4d starnet_s050 swiftformer_xs
        swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 tf_mobilenetv3_small_075 tiny_vit_5m_224
        tnt_s_legacy_patch16_224 tresnet_m twins_svt_small visformer_tiny vit_srelpos_small_patch16_224
        vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 vovnet39a xcit_nano_12_p8_224
    """,
    240: """
        crossvit_tiny_240 flexivit_small
    """,
    256: """
        botnet26t_256 cs3darknet_focus_s cspdarknet53 cspresnet50 cspresnext50 darknet17 eca_botnext26ts_256
        eca_resnext26ts ecaresnet26t edgenext_xx_small fastvit_t8 halonet_h1 hieradet_small lambda_resnet26t
        maxvit_pico_rw_256 maxxvit_rmlp_nano_rw_256 maxxvitv2_nano_rw_256 mobilenetv5_base mobilevit_xxs
        mobilevitv2_050 resnext26ts sedarknet21 sehalonet33ts swinv2_tiny_window16_256
        vit_tiny_patch16_dinov3_qkvb
    """,
    299: """
        inception_resnet_v2 inception_v3 inception_v4 legacy_xception xception41p
    """,
    331: """
        nasnetalarge pnasnet5large
    """,
    384: """
        naflexvit_base_patch16_parfac_gap
    """,
    512: """
        csatv2
    """,
}


def _names(module: ModuleType) -> Sequence[str]:
    names: list[str] = models.list_models(module=module)
    return names


def _torchvision() -> Iterator[Entry]:
    for name in _names(models):
        size = SIZES.get(name, 224)
        yield _entry(name, (f"B,3,{size},{size}",))
    for name in _names(models.segmentation):
        yield _entry(name, IMAGE)
    for name in _names(models.detection):
        yield _entry(name, IMAGES, {} if name.startswith("ssd") else UNSCALED | (FEW if "rcnn" in name else {}))
    for name in _names(models.video):
        frames, size = CLIPS.get(name, (8, 112))
        yield _entry(name, (f"B,3,{frames},{size},{size}",))
    for name in _names(models.optical_flow):
        yield _entry(name, ("B,3,128,128", "B,3,128,128"))


def _entry(name: str, inputs: Sequence[str], args: dict[str, Any] | None = None) -> Entry:
    return Entry(name, f"torchvision:{name}", inputs, args or {})


TORCHVISION: Final = list(_torchvision())
TIMM: Final = [
    Entry(name, f"timm:{name}", (f"B,3,{size},{size}",)) for size, names in TIMM_NAMES.items() for name in names.split()
]
