"""Cases of ConvNeXt."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("layer scale starts at one", "initialisation", "torch.full((dim,), 1e-6)", "torch.ones(dim)", "block1"),
    defect(
        "layer scale ten times as large",
        "initialisation",
        "1e-6))\n        self.drop",
        "1e-5))\n        self.drop",
        "block1",
    ),
    defect(
        "layer scale on the wrong side",
        "scale or constant",
        "return x + drop_path(y, self.drop, self.training)",
        "return self.gamma[:, None, None] * x + drop_path(y, self.drop, self.training)",
        "block1",
        also=(Edit("self.gamma * self.project(y)", "self.project(y)"),),
    ),
    defect("layer scale lost", "scale or constant", "self.gamma * self.project(y)", "self.project(y)", "block1"),
    defect(
        "stochastic depth without its scale",
        "train or eval mode",
        "return x * keep / (1 - p)",
        "return x * keep",
        "block1",
    ),
    defect("stochastic depth divided by the wrong rate", "train or eval mode", "/ (1 - p)", "/ p", "block1"),
    defect("stochastic depth in eval mode", "train or eval mode", "if not training:", "if training:", "block1"),
    defect(
        "stochastic depth of the whole batch",
        "train or eval mode",
        "torch.rand(len(x), 1, 1, 1,",
        "torch.rand(1, 1, 1, 1,",
        "block1",
    ),
    defect(
        "stochastic depth of the skip",
        "train or eval mode",
        "return x + drop_path(y, self.drop, self.training)",
        "return drop_path(x + y, self.drop, self.training)",
        "block1",
    ),
    defect(
        "the same rate in every block",
        "train or eval mode",
        "ConvNeXtBlock(12, 0.2)",
        "ConvNeXtBlock(12, 0.1)",
        "block2",
    ),
    defect(
        "norm over height and channels",
        "axis",
        "self.expand(self.norm(y))",
        "self.expand(functional.layer_norm(y, y.shape[2:]) * self.norm.weight + self.norm.bias)",
        "block1.expand",
        "block1.norm",
    ),
    defect(
        "channel norm over the width",
        "axis",
        "super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
        "super().forward(x)",
        "stem_norm",
    ),
    defect(
        "permuted back wrongly",
        "axis",
        "self.project(y)).permute(0, 3, 1, 2)",
        "self.project(y)).permute(0, 3, 2, 1)",
        "block1",
    ),
    defect(
        "tanh approximation of GELU",
        "activation",
        "functional.gelu(self.expand(self.norm(y)))",
        'functional.gelu(self.expand(self.norm(y)), approximate="tanh")',
        "block1.project",
    ),
    defect(
        "norm behind the activation",
        "normalisation",
        "super().forward(x.permute(0, 2, 3, 1))",
        "super().forward(x.permute(0, 2, 3, 1).relu())",
        "stem_norm",
    ),
    defect(
        "epsilon of torch",
        "scale or constant",
        "self.norm = nn.LayerNorm(12, eps=1e-6)",
        "self.norm = nn.LayerNorm(12)",
        "norm",
    ),
    defect(
        "downsampling before its norm",
        "normalisation",
        "self.down(self.down_norm(x))",
        "self.down_norm(self.down(x)[:, :8])",
        "down",
        "down_norm",
        also=(
            Edit("ConvNeXtBlock(12, 0.2)", "ConvNeXtBlock(8, 0.2)"),
            Edit("nn.LayerNorm(12, eps=1e-6)", "nn.LayerNorm(8, eps=1e-6)"),
            Edit("nn.Linear(12, 10)", "nn.Linear(8, 10)"),
        ),
    ),
    defect("full for depthwise convolution", "width or bias", "padding=3, groups=dim", "padding=3", "block1.depthwise"),
    defect("5x5 kernel", "width or bias", "kernel_size=7, padding=3", "kernel_size=5, padding=2", "block1.depthwise"),
    defect(
        "norm before the mean",
        "readout",
        "self.norm(x.mean(dim=(2, 3)))",
        "self.norm(x.permute(0, 2, 3, 1)).mean(dim=(1, 2))",
        "norm",
    ),
    defect(
        "skip from behind the depthwise convolution",
        "residual",
        "        y = self.depthwise(x).permute(0, 2, 3, 1)",
        "        x = self.depthwise(x)\n        y = x.permute(0, 2, 3, 1)",
        "block1",
    ),
]

REWRITES = [
    rewrite(
        "channel norm by hand",
        (
            "return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
            (
                "var, mean = torch.var_mean(x, 1, unbiased=False, keepdim=True)\n"
                "        x = (x - mean) * (var + self.eps).rsqrt()\n"
                "        return x * self.weight[:, None, None] + self.bias[:, None, None]"
            ),
        ),
    ),
    rewrite(
        "layer scale multiplied in place",
        ("(self.gamma * self.project(y)).permute(0, 3, 1, 2)", "self.project(y).mul_(self.gamma).permute(0, 3, 1, 2)"),
    ),
    rewrite(
        "functional layer norm",
        (
            "self.expand(self.norm(y))",
            "self.expand(functional.layer_norm(y, (y.shape[-1],), self.norm.weight, self.norm.bias, 1e-6))",
        ),
    ),
    rewrite(
        "stem in a Sequential",
        (
            (
                "        self.stem = nn.Conv2d(3, 8, kernel_size=2, stride=2)\n"
                "        self.stem_norm = LayerNorm2d(8, eps=1e-6)\n"
            ),
            "        self.stem = nn.Sequential(nn.Conv2d(3, 8, kernel_size=2, stride=2), LayerNorm2d(8, eps=1e-6))\n",
        ),
        ("self.stem_norm(self.stem(x))", "self.stem(x)"),
    ),
    rewrite(
        "gamma registered first",
        ("        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))\n", ""),
        (
            "        self.depthwise =",
            "        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))\n        self.depthwise =",
        ),
    ),
]
