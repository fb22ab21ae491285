"""Cases of the residual network."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("lost skip", "residual", "functional.relu(out + identity)", "functional.relu(out)", "stage1.0"),
    defect(
        "skip added after the activation",
        "residual",
        "functional.relu(out + identity)",
        "functional.relu(out) + identity",
        "stage1.0",
    ),
    defect(
        "no activation behind the sum",
        "activation",
        "return functional.relu(out + identity)",
        "return out + identity",
        "stage1.0",
    ),
    defect(
        "skip from behind the first convolution",
        "residual",
        "return functional.relu(out + identity)",
        "return functional.relu(out + out)",
        "stage1.0",
    ),
    defect("skip subtracted", "residual", "out + identity", "out - identity", "stage1.0"),
    defect("skip averaged", "residual", "out + identity", "(out + identity) / 2", "stage1.0"),
    defect(
        "skip detached",
        "detached gradient",
        "out + identity",
        "out + identity.detach()",
        "conv1",
        "stage1.0",
        "bn1",
        "stage2.0.downsample.1",
    ),
    defect(
        "residual branch detached",
        "detached gradient",
        "out + identity",
        "out.detach() + identity",
        "conv1",
        "stage1.0.conv1",
        "stage1.0",
        "stage2.1.bn2",
    ),
    defect(
        "zero-initialised gamma lost", "initialisation", "        nn.init.zeros_(self.bn2.weight)\n", "", "stage1.0.bn2"
    ),
    defect("gamma of the wrong norm at zero", "initialisation", "self.bn2.weight", "self.bn1.weight", "stage1.0.bn1"),
    defect(
        "lost ReLU in the block",
        "activation",
        "out = functional.relu(self.bn1(self.conv1(x)))",
        "out = self.bn1(self.conv1(x))",
        "stage1.0.conv2",
    ),
    defect(
        "ReLU before the sum",
        "activation",
        "out = self.bn2(self.conv2(out))",
        "out = functional.relu(self.bn2(self.conv2(out)))",
        "stage1.0",
    ),
    defect(
        "one norm used twice",
        "sharing",
        "out = self.bn2(self.conv2(out))",
        "out = self.bn1(self.conv2(out))",
        "stage1.0.bn1",
        "stage1.0.bn2",
    ),
    defect(
        "shortcut's norm lost",
        "normalisation",
        "stride=stride, bias=False), nn.BatchNorm2d(out_channels)",
        "stride=stride, bias=False), nn.Identity()",
        "stage2.0.downsample.1",
    ),
    defect(
        "shortcut by pooling",
        "stride or padding",
        "nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)",
        "nn.AvgPool2d(stride), nn.Conv2d(in_channels, out_channels, 1, bias=False)",
        "stage2.0.downsample.0",
    ),
    defect(
        "stride moved to the block's second convolution",
        "stride or padding",
        "out_channels, 3, stride=stride, padding=1",
        "out_channels, 3, padding=1",
        "stage2.0.conv1",
        also=(
            Edit(
                "out_channels, 3, padding=1, bias=False)\n        self.bn2",
                "out_channels, 3, stride=stride, padding=1, bias=False)\n        self.bn2",
            ),
        ),
    ),
    defect(
        "stride moved to the stage's second block",
        "stride or padding",
        "BasicBlock(8, 16, stride=2), BasicBlock(16, 16)",
        "BasicBlock(8, 16), BasicBlock(16, 16, stride=2)",
        "stage2.0.conv1",
    ),
    defect(
        "stem's pool of another kernel",
        "pooling",
        "kernel_size=3, stride=2, padding=1",
        "kernel_size=2, stride=2",
        "stage1.0.conv1",
    ),
    defect("stem averages", "pooling", "functional.max_pool2d", "functional.avg_pool2d", "stage1.0.conv1"),
    defect(
        "stem's activation lost",
        "activation",
        "x = functional.relu(self.bn1(self.conv1(x)))",
        "x = self.bn1(self.conv1(x))",
        "stage1.0.conv1",
    ),
    defect(
        "shortcut in every block",
        "residual",
        "if stride != 1 or in_channels != out_channels:",
        "if out_channels:",
        "stage1.0.downsample.0",
        "stage1.0",
    ),
    defect(
        "one block twice",
        "sharing",
        "self.stage1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))",
        "block = BasicBlock(8, 8)\n        self.stage1 = nn.Sequential(block, block)",
        "stage1.1.conv1",
        "stage1.0.conv1",
    ),
    defect(
        "checkpointing moves the running statistics twice",
        "buffers",
        "self.stage2(self.stage1(x))",
        "checkpoint(self.stage2, self.stage1(x), use_reentrant=False)",
        "stage2.0.bn1",
        also=(
            Edit(
                "from torch.nn import functional\n",
                "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
            ),
        ),
    ),
]

REWRITES = [
    rewrite(
        "sum in place",
        ("return functional.relu(out + identity)", "out += identity\n        return functional.relu_(out)"),
    ),
    rewrite(
        "torch.add",
        ("out + identity", "torch.add(identity, out)"),
        ("from torch import Tensor", "import torch\nfrom torch import Tensor"),
    ),
    rewrite("mean for adaptive pool", ("functional.adaptive_avg_pool2d(x, 1).flatten(1)", "x.mean((2, 3))")),
    rewrite(
        "shortcut registered first",
        ("        self.downsample: nn.Module | None = None\n", ""),
        (
            "        self.conv1 = nn.Conv2d(in_channels",
            "        self.downsample: nn.Module | None = None\n        self.conv1 = nn.Conv2d(in_channels",
        ),
    ),
    rewrite(
        "blocks by add_module",
        (
            "self.stage1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))",
            (
                "self.stage1 = nn.Sequential()\n"
                '        self.stage1.add_module("first", BasicBlock(8, 8))\n'
                '        self.stage1.add_module("second", BasicBlock(8, 8))'
            ),
        ),
    ),
    rewrite(
        "all stages in one Sequential",
        ("        self.stage1 = nn.Sequential(", "        self.stages = nn.Sequential("),
        (
            "BasicBlock(8, 8), BasicBlock(8, 8))\n        self.stage2 = nn.Sequential(BasicBlock(8, 16",
            "BasicBlock(8, 8), BasicBlock(8, 8), BasicBlock(8, 16",
        ),
        ("self.stage2(self.stage1(x))", "self.stages(x)"),
    ),
]
