"""Bugs of stochastic depth."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "branches are not scaled in eval mode",
        "mosaicml/composer#372",
        "train or eval mode",
        "        branch = drop_branch(branch, self.training)\n",
        "        if self.training:\n            branch = drop_branch(branch, self.training)\n",
        "blocks.0",
    ),
]

REWRITES = [
    rewrite(
        "a product in one place",
        (
            (
                "    if not is_training:\n"
                "        return branch * KEEP\n"
                "    kept = torch.rand(len(branch), 1, 1, 1) < KEEP\n"
                "    return branch * kept.to(branch.dtype)\n"
            ),
            (
                "    kept = (torch.rand(len(branch), 1, 1, 1) < KEEP).to(branch.dtype) if is_training else KEEP\n"
                "    return kept * branch\n"
            ),
        ),
    ),
]
