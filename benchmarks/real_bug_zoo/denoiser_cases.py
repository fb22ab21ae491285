"""Bugs of networks for denoising."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "a skip that is meant to be left out",
        "CAREamics/careamics#503",
        "residual",
        "self.has_top_skip = TOP_SKIP",
        "self.has_top_skip = True",
        "up1",
    ),
]

REWRITES = [
    rewrite(
        "each half convolved by itself",
        (
            "self.up2(torch.cat([x, middle], dim=1))",
            (
                "functional.conv2d(x, self.up2.weight[:, :8], self.up2.bias, padding=1)"
                " + functional.conv2d(middle, self.up2.weight[:, 8:], padding=1)"
            ),
        ),
    ),
]
