"""Bugs of codebooks that are moving averages."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "codes move in eval mode",
        "lucidrains/vector-quantize-pytorch#163",
        "buffers",
        "        if self.training:\n            for given",
        "        if self.codebook is not None:\n            for given",
        "codebook",
    ),
]

REWRITES = [
    rewrite(
        "moving averages by hand",
        (
            "self.sizes.lerp_(chosen.sum(dim=0), 1 - DECAY)",
            "self.sizes.mul_(DECAY).add_(chosen.sum(dim=0), alpha=1 - DECAY)",
        ),
    ),
]
