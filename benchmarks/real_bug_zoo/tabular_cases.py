"""Bugs of networks for tables."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "norms are shared with the weights",
        "dreamquark-ai/tabnet#76",
        "sharing",
        "[nn.BatchNorm1d(2 * DIM) for _ in range(STEPS)]",
        "[nn.BatchNorm1d(2 * DIM)] * STEPS",
        "steps.1.norm",
        "steps.0.norm",
    ),
]

REWRITES = [
    rewrite(
        "the library's gate", ("value * torch.sigmoid(gate)", "nn.functional.glu(torch.cat([value, gate], dim=1))")
    ),
]
