"""Cases of the Inception network."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect(
        "branches in another order", "concat order", "[one, three, five, pooled]", "[one, five, three, pooled]", "mix1"
    ),
    defect(
        "branches reversed", "concat order", "[one, three, five, pooled]", "[one, three, five, pooled][::-1]", "mix1"
    ),
    defect(
        "channels interleaved",
        "concat order",
        "torch.cat([one, three, five, pooled], dim=1)",
        "torch.stack([one, three, five, pooled], dim=2).flatten(1, 2)",
        "mix1",
    ),
    defect("one branch twice", "concat order", "[one, three, five, pooled]", "[one, three, three, pooled]", "mix1"),
    defect(
        "average in the pool branch",
        "pooling",
        "functional.max_pool2d(x, 3, stride=1, padding=1)",
        "functional.avg_pool2d(x, 3, stride=1, padding=1)",
        "mix1.pooled",
    ),
    defect(
        "pool branch without its pool",
        "pooling",
        "functional.max_pool2d(x, 3, stride=1, padding=1)",
        "x",
        "mix1.pooled",
    ),
    defect(
        "wider pool of the same size",
        "pooling",
        "max_pool2d(x, 3, stride=1, padding=1)",
        "max_pool2d(x, 5, stride=1, padding=2)",
        "mix1.pooled",
    ),
    defect(
        "pool behind the 1x1",
        "pooling",
        "functional.relu(self.pooled(functional.max_pool2d(x, 3, stride=1, padding=1)))",
        "functional.max_pool2d(self.pooled(x), 3, stride=1, padding=1)",
        "mix1.pooled",
    ),
    defect(
        "reduction without activation",
        "activation",
        "self.five(functional.relu(self.five_reduce(x)))",
        "self.five(self.five_reduce(x))",
        "mix1.five",
    ),
    defect(
        "branch without activation", "activation", "one = functional.relu(self.one(x))", "one = self.one(x)", "mix1"
    ),
    defect(
        "branches share their reduction",
        "sharing",
        "self.five_reduce(x)",
        "self.three_reduce(x)",
        "mix1.three_reduce",
        "mix1.five_reduce",
        "mix1.five",
    ),
    defect(
        "5x5 as dilated 3x3",
        "stride or padding",
        "kernel_size=5, padding=2",
        "kernel_size=3, padding=2, dilation=2",
        "mix1.five",
    ),
    defect(
        "asymmetric kernel",
        "width or bias",
        "kernel_size=5, padding=2",
        "kernel_size=(3, 7), padding=(1, 3)",
        "mix1.five",
    ),
    defect(
        "ceil mode lost",
        "pooling",
        "avg_pool2d(middle, 3, stride=2, ceil_mode=True)",
        "avg_pool2d(middle, 3, stride=2)",
        "mix3.one",
    ),
    defect(
        "padding for ceil mode",
        "pooling",
        "avg_pool2d(middle, 3, stride=2, ceil_mode=True)",
        "avg_pool2d(middle, 3, stride=2, padding=1)",
        "mix3.one",
    ),
    defect(
        "auxiliary head on the last stage",
        "readout",
        "self.aux(middle.mean(dim=(2, 3)))",
        "self.aux(x.mean(dim=(2, 3)))",
        "aux",
    ),
    defect(
        "auxiliary head detached",
        "detached gradient",
        "self.aux(middle.mean(dim=(2, 3)))",
        "self.aux(middle.mean(dim=(2, 3)).detach())",
        "stem",
        "mix2",
        "mix2.one",
        "mix2.pooled",
    ),
    defect(
        "auxiliary head by maximum",
        "pooling",
        "self.aux(middle.mean(dim=(2, 3)))",
        "self.aux(middle.amax(dim=(2, 3)))",
        "aux",
    ),
    defect(
        "heads returned in the other order",
        "readout",
        "return logits, self.aux(middle.mean(dim=(2, 3)))",
        "return self.aux(middle.mean(dim=(2, 3))), logits",
        "output",
    ),
    defect(
        "auxiliary head reads the main one's weights",
        "sharing",
        "self.aux(middle.mean(dim=(2, 3)))",
        "self.fc(middle.mean(dim=(2, 3)))",
        "fc",
        "aux",
    ),
    defect(
        "auxiliary head in eval mode too",
        "train or eval mode",
        "        if self.training:\n            return logits,",
        "        if logits.numel():\n            return logits,",
        "aux",
        "output",
    ),
    defect(
        "auxiliary head never",
        "train or eval mode",
        "        if self.training:\n            return logits,",
        "        if not logits.numel():\n            return logits,",
        "aux",
        "output",
    ),
    defect(
        "trunk learns from the auxiliary head alone",
        "detached gradient",
        "functional.avg_pool2d(middle,",
        "functional.avg_pool2d(middle.detach(),",
        "stem",
        "mix2",
        "mix2.one",
        "mix2.pooled",
    ),
    defect(
        "stage left out",
        "residual",
        "self.mix2(self.mix1(x))",
        "self.mix2(x.repeat(1, 2, 1, 1))",
        "mix2.one",
        "mix1.one",
    ),
]

REWRITES = [
    rewrite(
        "branches written one by one",
        (
            "torch.cat([one, three, five, pooled], dim=1)",
            "torch.cat([torch.cat((one, three), -3), torch.cat((five, pooled), -3)], -3)",
        ),
    ),
    rewrite(
        "branches as Sequentials",
        ("functional.relu(self.three(functional.relu(self.three_reduce(x))))", "self.branch3(x)"),
        (
            (
                "        self.three_reduce = nn.Conv2d(in_channels, 4, kernel_size=1)\n"
                "        self.three = nn.Conv2d(4, 4, kernel_size=3, padding=1)\n"
            ),
            (
                "        self.branch3 = nn.Sequential(\n"
                "            nn.Conv2d(in_channels, 4, kernel_size=1), nn.ReLU(), nn.Conv2d(4, 4, "
                "kernel_size=3, padding=1), nn.ReLU()\n"
                "        )\n"
            ),
        ),
    ),
    rewrite(
        "heads registered first",
        ("        self.fc = nn.Linear(16, 5)\n", ""),
        ("        self.stem =", "        self.fc = nn.Linear(16, 5)\n        self.stem ="),
    ),
    rewrite(
        "early return",
        (
            (
                "        if self.training:\n"
                "            return logits, self.aux(middle.mean(dim=(2, 3)))\n"
                "        return logits"
            ),
            (
                "        if not self.training:\n"
                "            return logits\n"
                "        return logits, self.aux(functional.adaptive_avg_pool2d(middle, 1).flatten(1))"
            ),
        ),
    ),
    rewrite(
        "activations behind the concatenation",
        ("one = functional.relu(self.one(x))", "one = self.one(x)"),
        ("torch.cat([one, three, five, pooled], dim=1)", "torch.cat([one, three, five, pooled], dim=1).relu_()"),
    ),
]
