"""Cases of the mixer."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "tokens never transposed",
        "axis",
        "self.norm1(x).transpose(1, 2)).transpose(1, 2)",
        "self.norm1(x))",
        "block1.tokens.fc1",
    ),
    defect("not transposed back", "axis", "transpose(1, 2)).transpose(1, 2)", "transpose(1, 2))", "block1.norm2"),
    defect(
        "norm over the tokens", "axis", "self.norm1(x).transpose(1, 2)", "self.norm1(x.transpose(1, 2))", "block1.norm1"
    ),
    defect("mean over the channels", "axis", "x.mean(dim=1)", "x.mean(dim=2)", "head"),
    defect(
        "tokens and channels change places on the way in",
        "axis",
        ".flatten(2).transpose(1, 2)  #",
        ".flatten(2)  #",
        "block1.norm1",
    ),
    defect("no skip around the tokens", "residual", "x = x + self.tokens", "x = self.tokens", "block1.norm2"),
    defect(
        "channels beside the tokens",
        "residual",
        "out: Tensor = x + self.channels(self.norm2(x))",
        "out: Tensor = self.channels(self.norm2(x))",
        "block1",
    ),
    defect("keep probability taken for p", "dropout", "0.1, self.training", "0.9, self.training", "block1.tokens.fc2"),
    defect("dropout in eval mode only", "dropout", "0.1, self.training", "0.1, not self.training", "block1.tokens.fc2"),
    defect(
        "dropout before the activation",
        "dropout",
        "functional.dropout(functional.gelu(self.fc1(x)), 0.1, self.training)",
        "functional.gelu(functional.dropout(self.fc1(x), 0.1, self.training) * 0.9)",
        "block1.tokens.fc2",
    ),
    defect(
        "dropout at the block's input",
        "dropout",
        "functional.dropout(functional.gelu(self.fc1(x)), 0.1, self.training)",
        "functional.gelu(self.fc1(functional.dropout(x, 0.1, self.training)))",
        "block1.tokens.fc1",
    ),
    defect("ReLU for GELU", "activation", "functional.gelu", "functional.relu", "block1.tokens.fc2"),
    defect("head's weights at random", "initialisation", "        nn.init.zeros_(self.head.weight)\n", "", "head"),
    defect(
        "norm without shift",
        "normalisation",
        "self.norm = nn.LayerNorm(16)",
        "self.norm = nn.LayerNorm(16, bias=False)",
        "norm",
    ),
    defect(
        "RMS for layer norm",
        "normalisation",
        "self.norm = nn.LayerNorm(16)",
        "self.norm = nn.RMSNorm(16, eps=1e-5)",
        "norm",
    ),
    defect(
        "norm behind the mean",
        "readout",
        "self.norm(self.block2(self.block1(x)))",
        "self.block2(self.block1(x))",
        "norm",
        also=(Edit("x.mean(dim=1)", "self.norm(x.mean(dim=1))"),),
    ),
    defect(
        "first block twice",
        "sharing",
        "self.norm(self.block2(self.block1(x)))",
        "self.norm(self.block1(self.block1(x)))",
        "block1.norm1",
        "block2.norm1",
    ),
]

REWRITES = [
    rewrite(
        "einsum for the transpose",
        ("self.norm1(x).transpose(1, 2)", 'torch.einsum("bnc->bcn", self.norm1(x))'),
        ("from torch import Tensor", "import torch\nfrom torch import Tensor"),
    ),
    rewrite(
        "in place",
        (
            (
                "        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)\n"
                "        out: Tensor = x + self.channels(self.norm2(x))"
            ),
            (
                "        x = x + self.tokens(self.norm1(x).mT).mT\n"
                "        y = self.channels(self.norm2(x))\n"
                "        y += x\n"
                "        out: Tensor = y"
            ),
        ),
    ),
    rewrite(
        "dropout module",
        (
            "functional.dropout(functional.gelu(self.fc1(x)), 0.1, self.training)",
            "self.drop(functional.gelu(self.fc1(x)))",
        ),
        (
            "        self.fc2 = nn.Linear(hidden, width)\n",
            "        self.fc2 = nn.Linear(hidden, width)\n        self.drop = nn.Dropout(0.1)\n",
        ),
    ),
    rewrite(
        "blocks in a list",
        (
            "        self.block1 = MixerBlock()\n        self.block2 = MixerBlock()\n",
            "        self.blocks = nn.ModuleList(MixerBlock() for _ in range(2))\n",
        ),
        ("self.norm(self.block2(self.block1(x)))", "self.norm(self.blocks[1](self.blocks[0](x)))"),
    ),
    rewrite("contiguous copies", ("self.norm1(x).transpose(1, 2)", "self.norm1(x).transpose(1, 2).contiguous()")),
]
