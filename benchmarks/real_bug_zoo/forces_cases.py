"""Bugs of potentials."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "forces without a gradient",
        "choderalab/modelforge#240",
        "detached gradient",
        "positions, create_graph=True)",
        "positions, retain_graph=True)",
        "hidden",
        "energy",
    ),
]

REWRITES = [
    rewrite("squares as a power", (".square().sum(dim=-1, keepdim=True)", ".pow(2).sum(dim=-1, keepdim=True)")),
]
