"""Cases of the generator."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "output padding exchanged for padding",
        "stride or padding",
        "padding=1, output_padding=1",
        "padding=0, output_padding=0",
        "up2",
        also=(Edit("self.norm2(self.up2(x))", "self.norm2(self.up2(x)[..., :16, :16])"),),
    ),
    defect(
        "output cut at the other end",
        "stride or padding",
        "padding=1, output_padding=1",
        "padding=0, output_padding=0",
        "up2",
        also=(Edit("self.norm2(self.up2(x))", "self.norm2(self.up2(x)[..., 1:, 1:])"),),
    ),
    defect(
        "even kernel for output padding",
        "stride or padding",
        "kernel_size=3, stride=2, padding=1, output_padding=1",
        "kernel_size=4, stride=2, padding=1",
        "up2",
    ),
    defect(
        "dilated transposed convolution",
        "stride or padding",
        "kernel_size=3, stride=2, padding=1, output_padding=1",
        "kernel_size=3, stride=2, padding=2, output_padding=1, dilation=2",
        "up2",
        also=(Edit("self.norm2(self.up2(x))", "self.norm2(self.up2(x)[..., :16, :16])"),),
    ),
    defect(
        "grouped transposed convolution",
        "width or bias",
        "8, 6, kernel_size=3,",
        "8, 6, groups=2, kernel_size=3,",
        "up2",
    ),
    defect(
        "reflected padding",
        "stride or padding",
        "kernel_size=5, padding=2",
        'kernel_size=5, padding=2, padding_mode="reflect"',
        "to_rgb",
    ),
    defect(
        "vector laid out channels last",
        "axis",
        "self.project(z).view(-1, 12, 4, 4)",
        "self.project(z).view(-1, 4, 4, 12).permute(0, 3, 1, 2)",
        "norm0",
    ),
    defect("rows and columns change places", "axis", "view(-1, 12, 4, 4)", "view(-1, 12, 4, 4).mT", "norm0"),
    defect("four groups for three", "normalisation", "nn.GroupNorm(3, 12)", "nn.GroupNorm(4, 12)", "norm0"),
    defect("a group for each channel", "normalisation", "nn.GroupNorm(4, 8)", "nn.GroupNorm(8, 8)", "norm1"),
    defect(
        "batch for instance norm", "normalisation", "nn.InstanceNorm2d(6, affine=True)", "nn.BatchNorm2d(6)", "norm2"
    ),
    defect(
        "instance norm keeps statistics",
        "train or eval mode",
        "6, affine=True)",
        "6, affine=True, track_running_stats=True)",
        "norm2",
    ),
    defect("instance norm learns nothing", "normalisation", "6, affine=True)", "6)", "norm2"),
    defect("instance norm's epsilon", "scale or constant", "6, affine=True)", "6, eps=1e-3, affine=True)", "norm2"),
    defect("sigmoid for tanh", "activation", "torch.tanh", "torch.sigmoid", "output"),
    defect("hard tanh", "activation", "torch.tanh", "functional.hardtanh", "output"),
    defect("slope of the other activation", "activation", "leaky_relu(x, 0.2)", "leaky_relu(x, 0.01)", "to_rgb"),
    defect("slope the wrong sign", "activation", "leaky_relu(x, 0.2)", "leaky_relu(x, -0.2)", "to_rgb"),
    defect(
        "pixels shuffled in another order",
        "axis",
        "functional.pixel_shuffle(self.smooth(x), 2)",
        "self.smooth(x).unflatten(1, (2, 2, 2)).permute(0, 1, 4, 3, 5, 2).flatten(4).flatten(2, 3)",
        "to_rgb",
    ),
    defect(
        "sub-pixels before channels",
        "axis",
        "functional.pixel_shuffle(self.smooth(x), 2)",
        "self.smooth(x).unflatten(1, (2, 2, 2)).permute(0, 3, 4, 1, 5, 2).flatten(4).flatten(2, 3)",
        "to_rgb",
    ),
    defect(
        "repeated for shuffled",
        "resampling",
        "functional.pixel_shuffle(self.smooth(x), 2)",
        "self.smooth(x)[:, :2].repeat_interleave(2, 2).repeat_interleave(2, 3)",
        "to_rgb",
    ),
    defect(
        "weight norm lost",
        "normalisation",
        "weight_norm(nn.Conv2d(6, 8, kernel_size=3, padding=1))",
        "nn.Conv2d(6, 8, kernel_size=3, padding=1)",
        "smooth",
        "smooth.parametrizations.weight.0",
    ),
    defect(
        "weight norm over the wrong dimension",
        "normalisation",
        "kernel_size=3, padding=1))",
        "kernel_size=3, padding=1), dim=1)",
        "smooth",
        "smooth.parametrizations.weight",
        "smooth.parametrizations.weight.0",
    ),
    defect(
        "norm behind the activation",
        "normalisation",
        "functional.relu(self.norm1(self.up1(x)))",
        "self.norm1(functional.relu(self.up1(x)))",
        "norm1",
    ),
    defect(
        "upsampling without gradient",
        "detached gradient",
        "self.up2(x)",
        "self.up2(x.detach())",
        "project",
        "up1",
        "norm1",
    ),
]

REWRITES = [
    rewrite("reshape of a list", (".view(-1, 12, 4, 4)", ".unflatten(1, (12, 4, 4))")),
    rewrite(
        "pixel shuffle module",
        ("functional.pixel_shuffle(self.smooth(x), 2)", "self.shuffle(self.smooth(x))"),
        ("        self.to_rgb =", "        self.shuffle = nn.PixelShuffle(2)\n        self.to_rgb ="),
    ),
    rewrite("group norm for instance norm", ("nn.InstanceNorm2d(6, affine=True)", "nn.GroupNorm(6, 6)")),
    rewrite(
        "tanh by hand",
        (
            "return torch.tanh(self.to_rgb(functional.leaky_relu(x, 0.2)))",
            "x = self.to_rgb(functional.leaky_relu(x, 0.2))\n        return 2 * torch.sigmoid(2 * x) - 1",
        ),
    ),
    rewrite(
        "functional transposed convolution",
        ("self.up1(x)", "functional.conv_transpose2d(x, self.up1.weight, stride=2, padding=1)"),
    ),
]
