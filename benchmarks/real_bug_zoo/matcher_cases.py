"""Bugs of networks that match images."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "a floor division ends the rates of the positions",
        "zju3dv/LoFTR#41",
        "position",
        "(-math.log(10000.0) / (DIM // 2))",
        "(-math.log(10000.0) / DIM // 2)",
        "project",
    ),
]

REWRITES = [
    rewrite("similarities by einsum", ("one @ other.mT / DIM", 'torch.einsum("bnd,bmd->bnm", one, other) / DIM')),
]
