"""Cases of AlexNet."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "functional dropout without the training flag",
        "dropout",
        "dropout(x, 0.5, training=self.training)",
        "dropout(x, 0.5)",
        "fc6",
    ),
    defect("dropout always on", "dropout", "0.3, training=self.training", "0.3, training=True", "fc7"),
    defect("dropout never on", "dropout", "0.3, training=self.training", "0.3, training=False", "fc7"),
    defect(
        "dropout rates change places",
        "dropout",
        "(x, 0.5,",
        "(x, 0.3,",
        "fc6",
        also=(
            Edit(
                "0.3, training=self.training)\n        x = functional.relu(self.fc7",
                "0.5, training=self.training)\n        x = functional.relu(self.fc7",
            ),
        ),
    ),
    defect(
        "pool without overlap of the same size",
        "pooling",
        "self.norm(x), kernel_size=3, stride=2",
        "self.norm(x), kernel_size=2, stride=2",
        "conv2",
    ),
    defect(
        "ceil mode",
        "pooling",
        "return functional.max_pool2d(x, kernel_size=3, stride=2)",
        "return functional.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)[..., -3:, -3:]",
        "fc6",
    ),
    defect(
        "pool before the norm",
        "normalisation",
        "functional.max_pool2d(self.norm(x), kernel_size=3, stride=2)",
        "self.norm(functional.max_pool2d(x, kernel_size=3, stride=2))",
        "norm",
    ),
    defect(
        "norm before the activation",
        "normalisation",
        "x = functional.relu(self.conv1(x))",
        "x = self.conv1(x)",
        "norm",
        also=(Edit("self.norm(x)", "functional.relu(self.norm(x))"),),
    ),
    defect("response norm's alpha per element", "scale or constant", "alpha=1e-2", "alpha=5e-2", "norm"),
    defect("response norm's k of torch", "scale or constant", ", k=2.0", "", "norm"),
    defect("response norm lost", "normalisation", "self.norm(x)", "x", "conv2", "norm"),
    defect("lost ReLU", "activation", "functional.relu(self.conv3(x))", "self.conv3(x)", "conv4"),
    defect("ReLU behind the last layer", "activation", "self.fc8(x)", "functional.relu(self.fc8(x))", "output"),
    defect(
        "dilated convolution of the same size",
        "stride or padding",
        "nn.Conv2d(12, 16, kernel_size=3, padding=1)",
        "nn.Conv2d(12, 16, kernel_size=3, padding=2, dilation=2)",
        "conv3",
    ),
    defect(
        "groups lost",
        "width or bias",
        "nn.Conv2d(16, 16, kernel_size=3, padding=1, groups=2)",
        "nn.Conv2d(16, 16, kernel_size=3, padding=1)",
        "conv4",
    ),
    defect(
        "stride moved to the next convolution",
        "stride or padding",
        "kernel_size=5, stride=2, padding=2",
        "kernel_size=5, padding=2",
        "conv1",
        also=(Edit("kernel_size=5, padding=2, groups=2", "kernel_size=5, padding=2, stride=2, groups=2"),),
    ),
    defect(
        "features frozen by detach",
        "detached gradient",
        "torch.flatten(self.features(x), 1)",
        "torch.flatten(self.features(x).detach(), 1)",
        "conv1",
        "conv5",
    ),
    defect(
        "flattened channels last",
        "axis",
        "torch.flatten(self.features(x), 1)",
        "torch.flatten(self.features(x).permute(0, 2, 3, 1), 1)",
        "fc6",
    ),
]

REWRITES = [
    rewrite(
        "dropout as modules",
        ("self.fc6 =", "self.drop6 = nn.Dropout(0.5)\n        self.fc6 ="),
        ("functional.dropout(x, 0.5, training=self.training)", "self.drop6(x)"),
    ),
    rewrite(
        "classifier registered first",
        ("        self.fc6 = nn.Linear(12 * 9, 40)\n        self.fc7 = nn.Linear(40, 40)\n", ""),
        (
            "        self.conv1 =",
            "        self.fc7 = nn.Linear(40, 40)\n        self.fc6 = nn.Linear(12 * 9, 40)\n        self.conv1 =",
        ),
    ),
    rewrite(
        "in place",
        ("functional.relu(self.conv4(x))", "functional.relu_(self.conv4(x))"),
        ("functional.relu(self.conv3(x))", "functional.relu(self.conv3(x), inplace=True)"),
    ),
    rewrite(
        "groups as two convolutions",
        (
            "x = functional.relu(self.conv2(x))",
            (
                "first, second = self.conv2.weight.chunk(2)\n"
                "        bias = self.conv2.bias\n"
                "        assert bias is not None\n"
                "        x = torch.cat([functional.conv2d(x[:, :4], first, None, padding=2), "
                "functional.conv2d(x[:, 4:], second, None, padding=2)], 1)\n"
                "        x = functional.relu(x + bias[:, None, None])"
            ),
        ),
    ),
    rewrite(
        "padding beforehand",
        ("self.conv3(x)", "self.conv3(functional.pad(x, (1, 1, 1, 1)))"),
        ("nn.Conv2d(12, 16, kernel_size=3, padding=1)", "nn.Conv2d(12, 16, kernel_size=3)"),
    ),
    rewrite(
        "checkpointed features",
        ("self.features(x)", "checkpoint(self.features, x, use_reentrant=False)"),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
]
