"""Bugs of U-Nets."""

from defect_zoo.case import Edit, bug, rewrite

DEFECTS = [
    bug(
        "a softmax before a loss that takes logits",
        "NVIDIA/DeepLearningExamples#468",
        "readout",
        "logits: Tensor = self.head(x)",
        "logits: Tensor = self.head(x).softmax(dim=1)",
        "output",
    ),
    bug(
        "skips from behind the pooling",
        "meetps/pytorch-semseg#1",
        "residual",
        "merge(skip2, self.up2(x))",
        "merge(pooled2, self.up2(x))",
        "conv2.conv1",
        also=(Edit("merge(skip1, self.up1(x))", "merge(pooled1, self.up1(x))"),),
    ),
]

REWRITES = [
    rewrite(
        "no padding",
        ("functional.pad(skip, [missing] * 4)", "skip"),
        ("    missing = (deeper.shape[2] - skip.shape[2]) // 2\n", ""),
    ),
]
