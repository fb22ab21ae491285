"""Cases of the inverted residuals."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect("ReLU for ReLU6", "activation", "functional.relu6(", "functional.relu(", "block1.excite.reduce"),
    defect("SiLU for hardswish", "activation", "y = functional.hardswish", "y = functional.silu", "block1.depthwise"),
    defect("sigmoid for hardsigmoid", "activation", "functional.hardsigmoid", "functional.sigmoid", "block1.excite"),
    defect(
        "hardswish in the squeeze",
        "activation",
        "functional.relu(self.reduce",
        "functional.hardswish(self.reduce",
        "block1.excite.expand",
    ),
    defect(
        "squeeze by maximum",
        "pooling",
        "x.mean(dim=(2, 3), keepdim=True)",
        "x.amax(dim=(2, 3), keepdim=True)",
        "block1.excite.reduce",
    ),
    defect(
        "squeeze over one axis",
        "axis",
        "scale = x.mean(dim=(2, 3), keepdim=True)",
        "scale = x[:, :, :1].mean(dim=(2, 3), keepdim=True)",
        "block1.excite.reduce",
    ),
    defect("excitation added", "scale or constant", "return x * functional", "return x + functional", "block1.excite"),
    defect(
        "excitation applied twice",
        "normalisation",
        "self.project(self.excite(y))",
        "self.project(y * self.excite(y))",
        "block1.project",
    ),
    defect(
        "excitation detached",
        "detached gradient",
        "scale = x.mean(",
        "scale = x.detach().mean(",
        "stem",
        "block1.excite",
        "block1.excite.reduce",
        "block3.norm2",
    ),
    defect(
        "torch's epsilon",
        "scale or constant",
        "self.norm2 = nn.BatchNorm2d(hidden, eps=1e-3,",
        "self.norm2 = nn.BatchNorm2d(hidden, eps=1e-5,",
        "block1.norm2",
    ),
    defect(
        "torch's momentum",
        "buffers",
        "self.norm3 = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01)",
        "self.norm3 = nn.BatchNorm2d(out_channels, eps=1e-3)",
        "block1.norm3",
    ),
    defect("skip never taken", "residual", "out: Tensor = x + y if self.has_skip else y", "out: Tensor = y", "block1"),
    defect(
        "skip's condition negated",
        "residual",
        "self.has_skip = stride == 1 and channels == out_channels",
        "self.has_skip = stride == 1 and channels != out_channels",
        "block1",
    ),
    defect(
        "depthwise convolution dilated",
        "stride or padding",
        "padding=kernel_size // 2",
        "padding=kernel_size // 2 * 2, dilation=2",
        "block1.depthwise",
    ),
    defect(
        "depthwise convolution of two channels",
        "width or bias",
        "groups=hidden,",
        "groups=hidden // 2,",
        "block1.depthwise",
    ),
    defect("kernel of three everywhere", "width or bias", "12, 5, stride=2", "12, 3, stride=2", "block2.depthwise"),
    defect(
        "stem's activation lost", "activation", "functional.hardswish(self.stem(x))", "self.stem(x)", "block1.expand"
    ),
    defect("dropout of the large network", "dropout", "p=0.2", "p=0.3", "fc2"),
    defect("squeeze of a fixed width", "width or bias", "hidden // 4", "hidden // 8", "block1.excite.reduce"),
]

REWRITES = [
    rewrite(
        "ReLU6 as a clamp",
        ("functional.relu6(4 * self.norm2(self.depthwise(y)))", "(4 * self.norm2(self.depthwise(y))).clamp(0, 6)"),
    ),
    rewrite(
        "hardswish by hand",
        (
            "y = functional.hardswish(self.norm1(self.expand(x)))",
            "y = self.norm1(self.expand(x))\n        y = y * functional.relu6(y + 3) / 6",
        ),
    ),
    rewrite(
        "skip in place",
        (
            "out: Tensor = x + y if self.has_skip else y",
            ("if self.has_skip:\n            y += x\n        out: Tensor = y"),
        ),
    ),
    rewrite(
        "norms registered last",
        ("        self.norm1 = nn.BatchNorm2d(hidden, eps=1e-3, momentum=0.01)\n", ""),
        (
            "        self.has_skip =",
            "        self.norm1 = nn.BatchNorm2d(hidden, eps=1e-3, momentum=0.01)\n        self.has_skip =",
        ),
    ),
]
