"""Bugs of networks for optical flow."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the grid's corners by a new default",
        "sniklaus/pytorch-pwc#33",
        "resampling",
        ", align_corners=True",
        ", align_corners=False",
        "refine",
    ),
]

REWRITES = [
    rewrite(
        "both images at once",
        (
            "one, other = torch.tanh(self.features(first)), torch.tanh(self.features(second))",
            "one, other = torch.tanh(self.features(torch.cat([first, second]))).chunk(2)",
        ),
    ),
]
