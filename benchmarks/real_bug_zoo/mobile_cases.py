"""Bugs of networks whose widths are scaled."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the stem's width is not scaled",
        "pytorch/vision#1224",
        "width or bias",
        "stem, first, second = scaled(32), scaled(16), scaled(24)",
        "stem, first, second = 32, 16, scaled(24)",
        "stem.0",
    ),
    bug(
        "widths are not rounded to multiples of 8",
        "pytorch/vision#973",
        "width or bias",
        "max(8, int(width * ALPHA + 4) // 8 * 8)",
        "int(width * ALPHA)",
        "stem.0",
    ),
]

REWRITES = [
    rewrite(
        "the block as a Sequential",
        ("self.block = InvertedResidual(first, second)", "self.block = InvertedResidual(first, second).layers"),
    ),
]
