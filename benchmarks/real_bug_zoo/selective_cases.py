"""Bugs of networks that choose between branches."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "softmax over the batch, not over the branches",
        "xmu-xiaoma666/External-Attention-pytorch#18",
        "axis",
        "votes.softmax(dim=0)",
        "votes.softmax(dim=1)",
        "selective",
    ),
]

REWRITES = [
    rewrite(
        "weighted sum by einsum",
        (
            "(weights[:, :, :, None, None] * features).sum(dim=0)",
            'torch.einsum("kbc,kbchw->bchw", weights, features)',
        ),
    ),
]
