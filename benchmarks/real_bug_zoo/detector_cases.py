"""Bugs of norms that are replaced after building."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "epsilon and momentum lost on a rebuild",
        "LibreYOLO/libreyolo#700",
        "normalisation",
        "    model = Detector(num_classes=5)\n    set_norms(model)\n",
        "    model = Detector(num_classes=5)\n",
        "stem_bn.act",
    ),
    bug(
        "converting a batch norm loses its activation",
        "huggingface/pytorch-image-models#1254",
        "activation",
        "shared = SharedNormAct(",
        "shared = nn.BatchNorm2d(",
        "stem_bn",
        "stem_bn.act",
    ),
]

REWRITES = [
    rewrite(
        "built once",
        ("    model = Detector(num_classes=80)\n    set_norms(model)\n", ""),
    ),
]
