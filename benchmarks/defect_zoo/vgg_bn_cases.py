"""Cases of convolutions with batch norm."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("Keras's epsilon", "scale or constant", "eps=1e-5", "eps=1e-3", "stem.norm"),
    defect("momentum the other way round", "buffers", "momentum=0.1", "momentum=0.9", "stem.norm"),
    defect("momentum of a hundredth", "buffers", "momentum=0.1", "momentum=0.01", "stem.norm"),
    defect("cumulative average of the statistics", "buffers", "momentum=0.1", "momentum=None", "stem.norm"),
    defect(
        "no running statistics", "buffers", "momentum=0.1)", "momentum=0.1, track_running_stats=False)", "stem.norm"
    ),
    defect("norm that learns nothing", "normalisation", "momentum=0.1)", "momentum=0.1, affine=False)", "stem.norm"),
    defect(
        "instance for batch norm",
        "normalisation",
        "nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1)",
        "nn.InstanceNorm2d(out_channels, affine=True, track_running_stats=True)",
        "stem.norm",
    ),
    defect(
        "norm left in eval mode",
        "train or eval mode",
        "functional.relu(self.norm(self.conv(x)))",
        "functional.relu(self.norm.eval()(self.conv(x)))",
        "stem.norm",
    ),
    defect(
        "activation before the norm",
        "normalisation",
        "functional.relu(self.norm(self.conv(x)))",
        "self.norm(functional.relu(self.conv(x)))",
        "stem.norm",
    ),
    defect("SiLU for ReLU", "activation", "functional.relu", "functional.silu", "stem"),
    defect("ReLU6 for ReLU", "activation", "functional.relu(", "functional.relu6(", "stem"),
    defect("bias before the norm", "width or bias", ", bias=False", "", "stem.conv"),
    defect(
        "stride moved to the next convolution",
        "stride or padding",
        "ConvNorm(8, 16, stride=2)",
        "ConvNorm(8, 16)",
        "down1.conv",
        also=(Edit("self.mid = ConvNorm(16, 16)", "self.mid = ConvNorm(16, 16, stride=2)"),),
    ),
    defect(
        "average and maximum change places",
        "pooling",
        "functional.avg_pool2d(x, kernel_size=4).amax(dim=(2, 3))",
        "functional.max_pool2d(x, kernel_size=4).mean(dim=(2, 3))",
        "head",
    ),
    defect("global average", "pooling", ".amax(dim=(2, 3))", ".mean(dim=(2, 3))", "head"),
    defect(
        "scale starts at zero",
        "initialisation",
        "momentum=0.1)\n",
        "momentum=0.1)\n        nn.init.zeros_(self.norm.weight)\n",
        "stem.norm",
    ),
    defect(
        "gradient stopped at the stem",
        "detached gradient",
        "self.down1(self.stem(x))",
        "self.down1(self.stem(x).detach())",
        "stem.conv",
        "stem",
        "stem.norm",
    ),
]

REWRITES = [
    rewrite(
        "functional batch norm with the module's buffers",
        (
            "self.norm(self.conv(x)))",
            (
                "functional.batch_norm(self.conv(x), self.norm.running_mean, self.norm.running_var, "
                "self.norm.weight, self.norm.bias, self.training, 0.1, 1e-5))"
            ),
        ),
    ),
    rewrite(
        "mean for pool",
        ("functional.avg_pool2d(x, kernel_size=4)", "x.unflatten(3, (2, 4)).unflatten(2, (2, 4)).mean(dim=(3, 5))"),
    ),
    rewrite(
        "maximum as adaptive pool",
        (".amax(dim=(2, 3))", ""),
        ("self.head(x)", "self.head(functional.adaptive_max_pool2d(x, 1).flatten(1))"),
    ),
    rewrite("clamp for ReLU", ("functional.relu(self.norm(self.conv(x)))", "self.norm(self.conv(x)).clamp(min=0)")),
    rewrite(
        "a loop over layers",
        (
            "x = self.down1(self.stem(x))\n        x = self.down2(self.mid(x))",
            "for layer in (self.stem, self.down1, self.mid, self.down2):\n            x = layer(x)",
        ),
    ),
    rewrite(
        "blocks in a Sequential",
        ("class ConvNorm(nn.Module):", "class ConvNorm(nn.Sequential):"),
        ("functional.relu(self.norm(self.conv(x)))", "functional.relu(super().forward(x))"),
    ),
]
