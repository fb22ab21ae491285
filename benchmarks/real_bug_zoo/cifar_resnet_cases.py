"""Bugs of residual networks."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "an extra ReLU before the sum",
        "kuangliu/pytorch-cifar#4",
        "activation",
        "out = self.bn2(self.conv2(out))",
        "out = functional.relu(self.bn2(self.conv2(out)))",
        "block_a",
    ),
    bug(
        "the stem's ReLU is missing",
        "JDAI-CV/fast-reid#12",
        "activation",
        "stem = functional.relu(self.bn(self.conv(x)))",
        "stem = self.bn(self.conv(x))",
        "block_a.conv1",
    ),
    bug(
        "a block's output is passed over",
        "XinArkh/VNect#13",
        "residual",
        "c = functional.relu(sum_c)",
        "c = functional.relu(sum_b)",
        "head",
    ),
]

REWRITES = [
    rewrite("sum in place", ("total: Tensor = out + x", "total: Tensor = out.add_(x)")),
    rewrite("ReLU in place", ("a = functional.relu(", "a = functional.relu_(")),
]
