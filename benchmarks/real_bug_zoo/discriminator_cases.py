"""Bugs of discriminators."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the residual sum is not scaled",
        "lucidrains/stylegan2-pytorch#88",
        "residual",
        " / math.sqrt(2)",
        "",
        "block1",
    ),
    bug(
        "a leaky ReLU behind a ReLU",
        "tflearn/tflearn#784",
        "activation",
        "below = functional.relu(-x)",
        "x = functional.relu(x)\n    below = functional.relu(-x)",
        "block1.conv2",
    ),
]

REWRITES = [
    rewrite(
        "the library's leaky ReLU",
        (
            "    below = functional.relu(-x)\n    above = functional.relu(x)\n    return above - SLOPE * below",
            "    return functional.leaky_relu(x, SLOPE)",
        ),
    ),
]
