"""Bugs of Inception networks."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "3x3 for 5x5",
        "pytorch/vision#906",
        "width or bias",
        "Unit(2, 4, 5)",
        "Unit(2, 4, 3)",
        "inception.branch3.1.conv",
    ),
    bug(
        "the ReLU's result is not used",
        "Cadene/pretrained-models.pytorch#79",
        "activation",
        "return activated",
        "return normed",
        "stem",
    ),
    bug(
        "running statistics that never move",
        "Cadene/pretrained-models.pytorch#5",
        "buffers",
        "momentum=0.1",
        "momentum=0.0",
        "stem.bn",
    ),
]

REWRITES = [
    rewrite("ReLU in place", ("nn.ReLU()", "nn.ReLU(inplace=True)")),
    rewrite("adaptive pool for mean", (".mean((2, 3))", ".flatten(2).mean(2)")),
]
