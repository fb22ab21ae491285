"""Bugs of attention by a few latent vectors."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "scores are divided by the scale",
        "esceptico/perceiver-io#9",
        "attention",
        "k.transpose(-2, -1) * self.scale",
        "k.transpose(-2, -1) / self.scale",
        "attention.out",
    ),
]

REWRITES = [
    rewrite("queries scaled first", ("q @ k.transpose(-2, -1) * self.scale", "(q * self.scale) @ k.mT")),
]
