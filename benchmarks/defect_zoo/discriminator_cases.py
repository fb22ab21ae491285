"""Cases of the discriminator."""

from defect_zoo.case import Edit, defect, rewrite

CONV = "spectral_norm(nn.Conv2d(before, after, kernel_size=4, stride=stride, padding=1, bias=not norm))"
LOOP = """        x, outputs = image, []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
"""
FIT = "fit = torch.sum(self.label(label) * x.mean(dim=(2, 3)), dim=1)"
BLOCKS = "self.blocks = nn.ModuleList([Block(3, 6, norm=False), Block(6, 8), Block(8, 8, stride=1)])"
IMPORT = "from torch.nn.utils.parametrizations import spectral_norm"
PARTS = f"""        {BLOCKS}
        self.head = nn.Conv2d(8, 1, kernel_size=1)
        self.label = spectral_norm(nn.Embedding(5, 8))
"""
REVERSED = f"""        self.label = spectral_norm(nn.Embedding(5, 8))
        self.head = nn.Conv2d(8, 1, kernel_size=1)
        {BLOCKS}
"""
OWN = '''class SpectralConv(nn.Conv2d):
    """A convolution divided by its weight's largest singular value."""

    def __init__(self, *args: int, **options: int) -> None:
        super().__init__(*args, **options)
        rows = self.weight.flatten(1)
        self.register_buffer("weight_u", functional.normalize(torch.randn(rows.shape[0]), dim=0))
        self.register_buffer("weight_v", functional.normalize(torch.randn(rows.shape[1]), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """The same as a convolution's."""
        rows = self.weight.flatten(1)
        if self.training:
            with torch.no_grad():
                self.weight_u.copy_(functional.normalize(rows @ self.weight_v, dim=0))
                self.weight_v.copy_(functional.normalize(rows.T @ self.weight_u, dim=0))
        largest = torch.dot(self.weight_u.clone(), rows @ self.weight_v.clone())
        return self._conv_forward(x, self.weight / largest, self.bias)


class Block('''

DEFECTS = [
    defect(
        "spectral norm lost",
        "normalisation",
        CONV,
        CONV.removeprefix("spectral_norm(")[:-1],
        "blocks.0.conv.parametrizations.weight.0",
        "blocks.0.conv",
    ),
    defect(
        "spectral norm of the labels lost",
        "normalisation",
        "spectral_norm(nn.Embedding(5, 8))",
        "nn.Embedding(5, 8)",
        "label.parametrizations.weight.0",
        "label",
    ),
    defect(
        "two power iterations",
        "normalisation",
        "bias=not norm))",
        "bias=not norm), n_power_iterations=2)",
        "blocks.0.conv.parametrizations.weight.0",
    ),
    defect(
        "weight norm for spectral norm",
        "normalisation",
        IMPORT,
        IMPORT + ", weight_norm",
        "blocks.0.conv.parametrizations.weight.0",
        also=(Edit("spectral_norm(nn.Conv2d(", "weight_norm(nn.Conv2d("),),
    ),
    defect(
        "spectral norm over the wrong axis",
        "normalisation",
        "spectral_norm(nn.Embedding(5, 8))",
        "spectral_norm(nn.Embedding(5, 8), dim=1)",
        "label.parametrizations.weight.0",
    ),
    defect(
        "frozen after the first use",
        "train or eval mode",
        "return functional.leaky_relu(self.norm(self.conv(x)), 0.2)",
        "self.conv.eval()\n        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)",
        "blocks.0.conv.parametrizations.weight.0",
    ),
    defect(
        "batch norm for instance norm",
        "normalisation",
        "nn.InstanceNorm2d(after, affine=True)",
        "nn.BatchNorm2d(after)",
        "blocks.1.norm",
    ),
    defect(
        "instance norm learns nothing",
        "normalisation",
        "nn.InstanceNorm2d(after, affine=True)",
        "nn.InstanceNorm2d(after)",
        "blocks.1.norm",
    ),
    defect(
        "slope lost",
        "activation",
        "functional.leaky_relu(self.norm(self.conv(x)), 0.2)",
        "functional.relu(self.norm(self.conv(x)))",
        "blocks.0",
    ),
    defect(
        "slope of the default", "activation", "self.norm(self.conv(x)), 0.2)", "self.norm(self.conv(x)))", "blocks.0"
    ),
    defect(
        "activation before the norm",
        "activation",
        "functional.leaky_relu(self.norm(self.conv(x)), 0.2)",
        "self.norm(functional.leaky_relu(self.conv(x), 0.2))",
        "blocks.0.norm",
    ),
    defect(
        "reflected padding",
        "stride or padding",
        "padding=1, bias=not norm",
        'padding=1, bias=not norm, padding_mode="reflect"',
        "blocks.0.conv",
    ),
    defect("sigmoid on the scores", "activation", "score = self.head(x)", "score = self.head(x).sigmoid()", "output"),
    defect("ReLU on the scores", "activation", "score = self.head(x)", "score = self.head(x).relu()", "output"),
    defect(
        "absolute value of the scores", "activation", "score = self.head(x)", "score = self.head(x).abs()", "output"
    ),
    defect("scores cut", "activation", "score = self.head(x)", "score = self.head(x).clamp(-1, 1)", "output"),
    defect(
        "head of three pixels",
        "stride or padding",
        "nn.Conv2d(8, 1, kernel_size=1)",
        "nn.Conv2d(8, 1, kernel_size=3, padding=1)",
        "head",
    ),
    defect(
        "head without bias",
        "width or bias",
        "nn.Conv2d(8, 1, kernel_size=1)",
        "nn.Conv2d(8, 1, kernel_size=1, bias=False)",
        "head",
    ),
    defect("sum for mean over the image", "pooling", "x.mean(dim=(2, 3))", "x.sum(dim=(2, 3))", "output"),
    defect("largest of the image", "pooling", "x.mean(dim=(2, 3))", "x.amax(dim=(2, 3))", "output"),
    defect("fit against the next label", "axis", "self.label(label)", "self.label(label.roll(1))", "label"),
    defect(
        "fit summed over the batch",
        "axis",
        "(2, 3)), dim=1)",
        "(2, 3)))",
        "output",
        also=(Edit("fit[:, None, None, None]", "fit"),),
    ),
    defect("fit taken away", "scale or constant", "score + fit", "score - fit", "output"),
    defect(
        "features of the block before",
        "residual",
        "            x = block(x)\n            outputs.append(x)\n",
        "            outputs.append(x)\n            x = block(x)\n",
        "output",
    ),
    defect(
        "features detached",
        "detached gradient",
        "outputs.append(x)",
        "outputs.append(x.detach())",
        "blocks.0.conv.parametrizations.weight",
        "blocks.2.norm",
    ),
    defect(
        "fit detached",
        "detached gradient",
        "x.mean(dim=(2, 3))",
        "x.detach().mean(dim=(2, 3))",
        "blocks.0.conv.parametrizations.weight",
        "blocks.2.norm",
    ),
    defect(
        "labels under no_grad",
        "detached gradient",
        "        fit = torch",
        "        with torch.no_grad():\n            known = self.label(label)\n        fit = torch",
        "label.parametrizations.weight",
        also=(Edit("(self.label(label) * x", "(known * x"),),
    ),
    defect(
        "scores of the last block but one",
        "readout",
        "score = self.head(x)",
        "score = self.head(outputs[-2][..., ::1, ::1][..., :3, :3])",
        "head",
    ),
]

REWRITES = [
    rewrite("spectral norm by hooks", (IMPORT, "from torch.nn.utils import spectral_norm")),
    rewrite(
        "spectral norm by hooks, but for the labels",
        (IMPORT, IMPORT + "\nfrom torch.nn.utils import spectral_norm as by_hook"),
        ("spectral_norm(nn.Conv2d(", "by_hook(nn.Conv2d("),
    ),
    rewrite("parts registered in reverse", (PARTS, REVERSED)),
    rewrite(
        "parts registered in reverse, spectral norm by hooks",
        (IMPORT, "from torch.nn.utils import spectral_norm"),
        (PARTS, REVERSED),
    ),
    rewrite(
        "spectral norm put on afterwards",
        (CONV, CONV.removeprefix("spectral_norm(")[:-1]),
        (
            BLOCKS,
            BLOCKS + "\n        for module in self.blocks.modules():\n            if isinstance(module, nn.Conv2d):\n"
            "                spectral_norm(module)",
        ),
    ),
    rewrite(
        "spectral norm put on by apply",
        (CONV, CONV.removeprefix("spectral_norm(")[:-1]),
        ("spectral_norm(nn.Embedding(5, 8))", "nn.Embedding(5, 8)\n        self.apply(constrain)"),
        (
            "class Block(",
            '''def constrain(module: nn.Module) -> None:
    """Spectral norm for all that has a weight of the kind."""
    if isinstance(module, (nn.Conv2d, nn.Embedding)) and module.weight.shape[0] > 1:
        spectral_norm(module)


class Block(''',
        ),
    ),
    rewrite(
        "spectral norm of one's own",
        ("class Block(", OWN),
        (CONV, CONV.replace("spectral_norm(nn.Conv2d(", "SpectralConv(")[:-1]),
    ),
    rewrite(
        "padded by a function",
        ("padding=1, bias=not norm", "bias=not norm"),
        ("self.conv(x)", "self.conv(functional.pad(x, (1, 1, 1, 1)))"),
    ),
    rewrite("group norm for instance norm", ("nn.InstanceNorm2d(after, affine=True)", "nn.GroupNorm(after, after)")),
    rewrite(
        "slope by the greater",
        ("functional.leaky_relu(self.norm(self.conv(x)), 0.2)", "torch.maximum(y := self.norm(self.conv(x)), 0.2 * y)"),
    ),
    rewrite(
        "activation as a module",
        ("functional.leaky_relu(self.norm(self.conv(x)), 0.2)", "self.act(self.norm(self.conv(x)))"),
        (
            "        self.norm = nn.Inst",
            "        self.act = nn.LeakyReLU(0.2, inplace=True)\n        self.norm = nn.Inst",
        ),
    ),
    rewrite(
        "features by hooks",
        (
            LOOP,
            """        outputs: list[Tensor] = []
        handles = [block.register_forward_hook(lambda _m, _a, out: outputs.append(out)) for block in self.blocks]
        x = nn.Sequential(*self.blocks)(image)
        for handle in handles:
            handle.remove()
""",
        ),
    ),
    rewrite(
        "features by hooks of the constructor",
        (
            BLOCKS,
            BLOCKS
            + """
        self.kept: list[Tensor] = []
        for block in self.blocks:
            block.register_forward_hook(lambda _module, _args, out: self.kept.append(out))""",
        ),
        (
            LOOP,
            """        self.kept.clear()
        x = image
        for block in self.blocks:
            x = block(x)
        outputs = list(self.kept)
""",
        ),
    ),
    rewrite(
        "features kept on the blocks",
        (
            "        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)\n",
            "        self.features = functional.leaky_relu(self.norm(self.conv(x)), 0.2)\n"
            "        return self.features\n",
        ),
        ("            outputs.append(x)\n", "            outputs.append(block.features)\n"),
    ),
    rewrite(
        "blocks by name",
        (
            BLOCKS,
            """for index, block in enumerate([Block(3, 6, norm=False), Block(6, 8), Block(8, 8, stride=1)]):
            setattr(self, f"block{index}", block)""",
        ),
        ("for block in self.blocks:", "for block in (self.block0, self.block1, self.block2):"),
    ),
    rewrite(
        "head as a product",
        (
            "self.head(x)",
            "torch.einsum('bchw,oc->bohw', x, self.head.weight[:, :, 0, 0]) + self.head.bias[:, None, None]",
        ),
    ),
    rewrite(
        "head as a linear layer",
        ("self.head = nn.Conv2d(8, 1, kernel_size=1)", "self.head = nn.Linear(8, 1)"),
        ("self.head(x)", "self.head(x.movedim(1, -1)).movedim(-1, 1)"),
    ),
    rewrite(
        "head scripted",
        ("self.head = nn.Conv2d(8, 1, kernel_size=1)", "self.head = torch.jit.script(nn.Conv2d(8, 1, kernel_size=1))"),
    ),
    rewrite(
        "channels last", ("x, outputs = image, []", "x, outputs = image.to(memory_format=torch.channels_last), []")
    ),
    rewrite("fit by einsum", (FIT, 'fit = torch.einsum("bc,bchw->b", self.label(label), x) / x[0, 0].numel()')),
    rewrite(
        "fit by pooling",
        (FIT, "fit = (self.label(label) * functional.adaptive_avg_pool2d(x, 1).flatten(1)).sum(dim=1)"),
    ),
    rewrite("fit by one hot", ("self.label(label)", "(functional.one_hot(label, 5).to(x.dtype) @ self.label.weight)")),
    rewrite("fit before the score", ("        score = self.head(x)\n", ""), ("score + fit", "self.head(x) + fit")),
]
