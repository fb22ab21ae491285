"""Bugs of networks with several heads."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "one block for all of a head",
        "linkedin/Liger-Kernel#269",
        "sharing",
        "*[Block() for _ in range(2)]",
        "*([Block()] * 2)",
        "heads.0.1.linear",
        "heads.0.0.linear",
    ),
]

REWRITES = [
    rewrite("heads in a loop", ("nn.ModuleList([head(), head()])", "nn.ModuleList(head() for _ in range(2))")),
]
