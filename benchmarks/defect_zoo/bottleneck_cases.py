"""Cases of the bottlenecks."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "stride in the first 1x1",
        "stride or padding",
        "channels, width, kernel_size=1, bias",
        "channels, width, kernel_size=1, stride=stride, bias",
        "block3.conv1",
        also=(Edit("kernel_size=3, stride=stride,", "kernel_size=3,"),),
    ),
    defect(
        "stride in the last 1x1",
        "stride or padding",
        "width, out_channels, kernel_size=1,",
        "width, out_channels, kernel_size=1, stride=stride,",
        "block3.conv2",
        also=(Edit("kernel_size=3, stride=stride,", "kernel_size=3,"),),
    ),
    defect("groups lost", "width or bias", "padding=1, groups=groups", "padding=1", "block2.conv2"),
    defect(
        "groups of another block",
        "width or bias",
        "Bottleneck(16, 12, 24, stride=2, groups=4)",
        "Bottleneck(16, 12, 24, stride=2, groups=2)",
        "block3.conv2",
    ),
    defect(
        "third activation before the sum",
        "activation",
        "y = self.bn3(self.conv3(y))\n        y = y + self.shortcut(x)\n        activated: Tensor = self.relu(y)",
        "y = self.relu(self.bn3(self.conv3(y)))\n        activated: Tensor = y + self.shortcut(x)",
        "block1.relu",
        "block1",
    ),
    defect(
        "shortcut of what the block returns",
        "residual",
        "y = y + self.shortcut(x)",
        "y = y + y",
        "block1.relu",
        "block1.shortcut.0",
    ),
    defect("shortcut's own scale", "residual", "y + self.shortcut(x)", "y + 0.5 * self.shortcut(x)", "block1.relu"),
    defect(
        "norm of the middle skipped",
        "normalisation",
        "self.relu(self.bn2(self.conv2(y)))",
        "self.relu(self.conv2(y))",
        "block1.relu",
        "block1.bn2",
    ),
    defect(
        "second norm is the first",
        "sharing",
        "self.bn2(self.conv2(y))",
        "self.bn1(self.conv2(y))",
        "block1.bn1",
        "block1.bn2",
    ),
    defect(
        "leaky activation", "activation", "nn.ReLU(inplace=True)", "nn.LeakyReLU(0.01, inplace=True)", "block1.relu"
    ),
    defect("softer activation", "activation", "nn.ReLU(inplace=True)", "nn.Softplus()", "block1.relu"),
    defect("maximum for the global average", "pooling", "nn.AdaptiveAvgPool2d(1)", "nn.AdaptiveMaxPool2d(1)", "head.0"),
    defect(
        "dropout before the pool",
        "dropout",
        "nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)",
        "nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()",
        "head.0",
    ),
    defect("dropout rate of the paper", "dropout", "nn.Dropout(0.2)", "nn.Dropout(0.5)", "head.2"),
    defect(
        "mirrored before each block",
        "stride or padding",
        "x = block(x)",
        "x = block(x.flip(3))",
        "block1.conv1",
    ),
    defect(
        "no gradient into the shortcut",
        "detached gradient",
        "self.shortcut(x)",
        "self.shortcut(x.detach())",
        "block1.conv1",
        "block1",
        "block2",
        "block2.bn3",
    ),
]

REWRITES = [
    rewrite(
        "functional activation",
        Edit("self.relu(", "functional.relu(", every=True),
        ("        self.relu = nn.ReLU(inplace=True)\n", ""),
        ("from torch import Tensor, nn\n", "from torch import Tensor, nn\nfrom torch.nn import functional\n"),
    ),
    rewrite(
        "blocks in a module list",
        (
            (
                "        self.block1 = Bottleneck(4, 8, 16, stride=1, groups=1)\n"
                "        self.block2 = Bottleneck(16, 8, 16, stride=1, groups=4)\n"
                "        self.block3 = Bottleneck(16, 12, 24, stride=2, groups=4)\n"
            ),
            (
                "        shapes = [(4, 8, 16, 1, 1), (16, 8, 16, 1, 4), (16, 12, 24, 2, 4)]\n"
                "        self.blocks = nn.ModuleList(Bottleneck(*shape) for shape in shapes)\n"
            ),
        ),
        ("(self.block1, self.block2, self.block3)", "self.blocks"),
    ),
    rewrite(
        "head as attributes",
        ("self.head(x)", "self.fc(self.dropout(x.mean((2, 3))))"),
        (
            "self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 10))",
            "self.dropout = nn.Dropout(0.2)\n        self.fc = nn.Linear(24, 10)",
        ),
    ),
    rewrite(
        "1x1 convolution as a matrix product",
        (
            "y = self.bn3(self.conv3(y))",
            'y = self.bn3(torch.einsum("bihw,oi->bohw", y, self.conv3.weight[:, :, 0, 0]))',
        ),
        ("from torch import Tensor, nn\n", "import torch\nfrom torch import Tensor, nn\n"),
    ),
    rewrite(
        "branch in a method",
        (
            (
                "        y = self.relu(self.bn1(self.conv1(x)))\n"
                "        y = self.relu(self.bn2(self.conv2(y)))\n"
                "        y = self.bn3(self.conv3(y))\n"
                "        y = y + self.shortcut(x)\n"
            ),
            "        y = self.branch(x) + self.shortcut(x)\n",
        ),
        (
            '    def forward(self, x: Tensor) -> Tensor:\n        """Add,',
            (
                "    def branch(self, x: Tensor) -> Tensor:\n"
                "        y = self.relu(self.bn1(self.conv1(x)))\n"
                "        y = self.relu(self.bn2(self.conv2(y)))\n"
                "        out: Tensor = self.bn3(self.conv3(y))\n"
                "        return out\n"
                "\n"
                "    def forward(self, x: Tensor) -> Tensor:\n"
                '        """Add,'
            ),
        ),
    ),
]
