"""Bugs of networks with a teacher."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the teacher never moves",
        "PatrickHua/SimSiam#26",
        "buffers",
        "        if self.training:\n            self.follow()\n",
        "",
        "teacher.conv",
    ),
]

REWRITES = [
    rewrite(
        "a moving average by hand", ("mean.lerp_(value, 1 - DECAY)", "mean.mul_(DECAY).add_(value, alpha=1 - DECAY)")
    ),
]
