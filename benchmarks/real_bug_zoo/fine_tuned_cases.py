"""Bugs of fine-tuning."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the next train() wakes the frozen norms",
        "pgniewko/gt-pyg#112",
        "train or eval mode",
        "        super().train(mode)\n        if self.frozen:\n            self.encoder.eval()\n",
        "        super().train(mode)\n",
        "encoder.1",
    ),
]

REWRITES = [
    rewrite(
        "frozen parameter by parameter",
        (
            "self.encoder.requires_grad_(False)",
            "for parameter in self.encoder.parameters():\n            parameter.requires_grad = False",
        ),
    ),
]
