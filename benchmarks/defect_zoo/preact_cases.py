"""Cases of the pre-activation network."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "shortcut before the activation",
        "residual",
        "x = self.shortcut(out)",
        "x = self.shortcut(x)",
        "block2.shortcut",
    ),
    defect(
        "identity behind the activation",
        "residual",
        "        out = self.conv1(out)",
        "        else:\n            x = out\n        out = self.conv1(out)",
        "block1",
    ),
    defect(
        "activation behind the sum",
        "activation",
        "summed: Tensor = out + x",
        "summed: Tensor = functional.relu(out + x)",
        "block1",
    ),
    defect(
        "first activation lost",
        "activation",
        "out = functional.relu(self.norm1(x))",
        "out = self.norm1(x)",
        "block1.conv1",
    ),
    defect(
        "norm behind the activation",
        "normalisation",
        "out = functional.relu(self.norm1(x))",
        "out = self.norm1(functional.relu(x))",
        "block1.norm1",
    ),
    defect("last norm lost", "normalisation", "functional.relu(self.norm(x))", "functional.relu(x)", "fc", "norm"),
    defect("last activation lost", "activation", "functional.relu(self.norm(x))", "self.norm(x)", "fc"),
    defect(
        "activation in place on what the shortcut reads",
        "residual",
        "        out = functional.relu(self.norm1(x))",
        "        x = functional.relu(x)\n        out = functional.relu(self.norm1(x))",
        "block1.norm1",
    ),
    defect(
        "block left out",
        "residual",
        "self.block3(self.block2(self.block1(self.stem(x))))",
        "self.block3(self.block2(self.stem(x)))",
        "block2.norm1",
        "block1",
        "block1.norm1",
    ),
    defect(
        "stride on the second convolution",
        "stride or padding",
        "out_channels, 3, stride, 1, bias",
        "out_channels, 3, 1, 1, bias",
        "block2.conv1",
        also=(Edit("out_channels, out_channels, 3, 1, 1", "out_channels, out_channels, 3, stride, 1"),),
    ),
    defect("corner for the average", "pooling", "functional.avg_pool2d(x, 6)[:, :, 0, 0]", "x[:, :, 0, 0]", "fc"),
    defect("p-norm for the average", "pooling", "functional.avg_pool2d(x, 6)", "functional.lp_pool2d(x, 2, 6)", "fc"),
    defect(
        "residual branch scaled",
        "scale or constant",
        "summed: Tensor = out + x",
        "summed: Tensor = 0.1 * out + x",
        "block1",
    ),
    defect(
        "frozen first block",
        "detached gradient",
        "self.block1(self.stem(x))",
        "self.block1(self.stem(x)).detach()",
        "stem",
        "block1",
        "block1.conv2",
    ),
]

REWRITES = [
    rewrite(
        "blocks in a Sequential",
        ("self.block3(self.block2(self.block1(self.stem(x))))", "self.blocks(self.stem(x))"),
        (
            (
                "        self.block1 = PreactBlock(8, 8)\n"
                "        self.block2 = PreactBlock(8, 16, stride=2)\n"
                "        self.block3 = PreactBlock(16, 16)\n"
            ),
            (
                "        self.blocks = nn.Sequential(PreactBlock(8, 8), PreactBlock(8, 16, stride=2), "
                "PreactBlock(16, 16))\n"
            ),
        ),
    ),
    rewrite(
        "activations as modules",
        ("out = functional.relu(self.norm1(x))", "out = self.act(self.norm1(x))"),
        ("functional.relu(self.norm2(out))", "self.act(self.norm2(out))"),
        ("        self.shortcut = ", "        self.act = nn.ReLU()\n        self.shortcut = "),
    ),
    rewrite("padding by name", Edit("3, 1, 1, bias=False", 'kernel_size=3, padding="same", bias=False', every=True)),
]
