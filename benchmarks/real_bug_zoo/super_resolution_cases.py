"""Bugs of super-resolution networks."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the sum is scaled, not the residual",
        "krasserm/super-resolution#25",
        "residual",
        "x + SCALING * residual",
        "SCALING * (x + residual)",
        "blocks.0",
    ),
]

REWRITES = [
    rewrite("one operation for scale and sum", ("x + SCALING * residual", "x.add(residual, alpha=SCALING)")),
    rewrite(
        "pixel shuffle as a function",
        ("self.shuffle(self.last(self.blocks(x) + x))", "functional.pixel_shuffle(self.last(self.blocks(x) + x), 2)"),
    ),
]
