"""Cases of the U-Net."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("corners aligned", "resampling", "align_corners=False", "align_corners=True", "dec2.conv1"),
    defect(
        "nearest for bilinear", "resampling", 'mode="bilinear", align_corners=False', 'mode="nearest"', "dec2.conv1"
    ),
    defect("bicubic for bilinear", "resampling", '"bilinear"', '"bicubic"', "dec2.conv1"),
    defect("skip behind", "concat order", "[skip2, self.up(x)]", "[self.up(x), skip2]", "dec2.conv1"),
    defect("skip of the upsampled itself", "residual", "[skip1, self.up(x)]", "[self.up(x), self.up(x)]", "dec1.conv1"),
    defect("skip of the other level", "residual", "[skip1, self.up(x)]", "[self.up(skip2), self.up(x)]", "dec1.conv1"),
    defect(
        "skip detached",
        "detached gradient",
        "[skip1, self.up(x)]",
        "[skip1.detach(), self.up(x)]",
        "enc1.conv1",
        "enc1",
        "enc1.norm2",
    ),
    defect(
        "skip by data",
        "detached gradient",
        "[skip2, self.up(x)]",
        "[skip2.data, self.up(x)]",
        "enc1.conv1",
        "enc2",
        "enc2.conv1",
        "enc2.norm2",
    ),
    defect(
        "bottom under no_grad",
        "detached gradient",
        "x = self.bottom(functional.max_pool2d(skip2, 2))",
        "with torch.no_grad():\n            x = self.bottom(functional.max_pool2d(skip2, 2))",
        "bottom.conv1",
        "enc1.conv1",
        "bottom",
        "bottom.norm2",
    ),
    defect(
        "average for max pool",
        "pooling",
        "functional.max_pool2d(skip1, 2)",
        "functional.avg_pool2d(skip1, 2)",
        "enc2.conv1",
    ),
    defect("slices for max pool", "pooling", "functional.max_pool2d(skip2, 2)", "skip2[..., ::2, ::2]", "bottom.conv1"),
    defect("softmax over height", "axis", "dim=1)\n\n\ndef build", "dim=2)\n\n\ndef build", "output"),
    defect(
        "sigmoid for softmax",
        "activation",
        "functional.softmax(self.out(x), dim=1)",
        "torch.sigmoid(self.out(x))",
        "output",
    ),
    defect(
        "double softmax",
        "activation",
        "functional.softmax(self.out(x), dim=1)",
        "functional.softmax(functional.softmax(self.out(x), dim=1), dim=1)",
        "output",
    ),
    defect(
        "four groups", "normalisation", "self.norm2 = nn.GroupNorm(2,", "self.norm2 = nn.GroupNorm(4,", "enc1.norm2"
    ),
    defect("one group", "normalisation", "self.norm1 = nn.GroupNorm(2,", "self.norm1 = nn.GroupNorm(1,", "enc1.norm1"),
    defect(
        "slope lost in the second activation",
        "activation",
        "functional.leaky_relu(self.norm2(self.conv2(x)), 0.01)",
        "functional.relu(self.norm2(self.conv2(x)))",
        "enc1",
    ),
    defect(
        "one decoder for both levels",
        "sharing",
        "self.dec1(torch",
        "self.dec2(torch",
        "dec2.conv1",
        "dec1",
        "dec1.conv1",
    ),
    defect(
        "transposed convolution for upsampling",
        "width or bias",
        "self.dec1(torch.cat([skip1, self.up(x)], dim=1))",
        "self.dec1(torch.cat([skip1, self.widen(x)], dim=1))",
        "widen",
        "dec1.conv1",
        also=(
            Edit(
                "        self.out =", "        self.widen = nn.ConvTranspose2d(8, 8, 2, stride=2)\n        self.out ="
            ),
        ),
    ),
]

REWRITES = [
    rewrite(
        "upsample module",
        ("self.out = nn", 'self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")\n        self.out = nn'),
        Edit("self.up(x)", "self.upsample(x)", every=True),
    ),
    rewrite("size for scale factor", ("scale_factor=2", "size=(2 * x.shape[2], 2 * x.shape[3])")),
    rewrite(
        "decoder registered first",
        ("        self.dec2 = DoubleConv(16, 8)\n        self.dec1 = DoubleConv(16, 8)\n", ""),
        (
            "        self.enc1 =",
            "        self.dec1 = DoubleConv(16, 8)\n        self.dec2 = DoubleConv(16, 8)\n        self.enc1 =",
        ),
    ),
    rewrite(
        "softmax by hand",
        (
            "return functional.softmax(self.out(x), dim=1)",
            (
                "x = self.out(x)\n"
                "        scores = (x - x.amax(1, keepdim=True)).exp()\n"
                "        return scores / scores.sum(1, keepdim=True)"
            ),
        ),
    ),
    rewrite(
        "group norm by hand",
        (
            "functional.leaky_relu(self.norm1(self.conv1(x)), 0.01)",
            (
                "self.conv1(x)\n"
                "        groups = x.unflatten(1, (2, -1))\n"
                "        var, mean = torch.var_mean(groups, (2, 3, 4), unbiased=False, keepdim=True)\n"
                "        x = ((groups - mean) / (var + 1e-5).sqrt()).flatten(1, 2)\n"
                "        x = x * self.norm1.weight[:, None, None] + self.norm1.bias[:, None, None]\n"
                "        x = functional.leaky_relu(x, 0.01)"
            ),
        ),
    ),
]
