"""Bugs of initialisation."""

from defect_zoo.case import Edit, bug, rewrite

DEFECTS = [
    bug(
        "weights are set to what was meant for the biases",
        "facebookresearch/maskrcnn-benchmark#59",
        "initialisation",
        "nn.init.constant_(self.score.bias, 0.0)",
        "nn.init.constant_(self.score.weight, 0.0)",
        "score",
        also=(Edit("nn.init.constant_(self.boxes.bias, 0.0)", "nn.init.constant_(self.boxes.weight, 0.0)"),),
    ),
]

REWRITES = [
    rewrite("zeros by another name", ("nn.init.constant_(self.score.bias, 0.0)", "nn.init.zeros_(self.score.bias)")),
]
