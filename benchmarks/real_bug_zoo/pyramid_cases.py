"""Bugs of feature pyramids."""

from defect_zoo.case import Edit, bug, rewrite

DEFECTS = [
    bug(
        "bilinear for nearest upsampling",
        "fizyr/keras-retinanet#442",
        "resampling",
        'functional.interpolate(top, scale_factor=2, mode="nearest")',
        'functional.interpolate(top, scale_factor=2, mode="bilinear")',
        "head",
        also=(
            Edit(
                'functional.interpolate(middle, scale_factor=2, mode="nearest")',
                'functional.interpolate(middle, scale_factor=2, mode="bilinear")',
            ),
        ),
    ),
]

REWRITES = [
    rewrite(
        "rows and columns repeated",
        (
            'functional.interpolate(top, scale_factor=2, mode="nearest")',
            "top.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)",
        ),
    ),
]
