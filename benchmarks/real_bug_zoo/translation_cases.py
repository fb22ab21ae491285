"""Bugs of attention between two sequences."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "softmax over the batch",
        "PetrochukM/PyTorch-NLP#2",
        "axis",
        "softmax(dim=-1)",
        "softmax(dim=0)",
        "attention.linear_out",
    ),
]

REWRITES = [
    rewrite(
        "scores as they are",
        ("scores.view(batch * num_steps, -1).softmax(dim=-1).view(batch, num_steps, -1)", "scores.softmax(dim=-1)"),
        ("        batch, num_steps, _ = query.shape\n", ""),
    ),
]
