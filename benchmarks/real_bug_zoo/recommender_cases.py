"""Bugs of recommenders."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "heads split without a transposition",
        "reczoo/FuxiCTR#30",
        "head split",
        "x.view(len(x), FIELDS, HEADS, DIM // HEADS).transpose(1, 2)",
        "x.view(len(x), HEADS, FIELDS, DIM // HEADS)",
        "interaction",
    ),
]

REWRITES = [
    rewrite(
        "heads by chunks",
        (
            "x.view(len(x), FIELDS, HEADS, DIM // HEADS).transpose(1, 2)",
            "x.unflatten(2, (HEADS, -1)).permute(0, 2, 1, 3)",
        ),
    ),
]
