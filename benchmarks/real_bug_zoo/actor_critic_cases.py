"""Bugs of networks that learn to act."""

from defect_zoo.case import Edit, bug, rewrite

DEFECTS = [
    bug(
        "a ReLU behind policy and value",
        "openai/baselines#331",
        "activation",
        "scores = self.policy(x)",
        "scores = functional.relu(self.policy(x))",
        "output",
        also=(Edit("value = self.value(x)", "value = functional.relu(self.value(x))"),),
    ),
]

REWRITES = [
    rewrite("squeezed", ("value[:, 0]", "value.squeeze(1)")),
]
