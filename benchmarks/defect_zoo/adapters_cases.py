"""Cases of the encoder with adapters."""

from defect_zoo.case import defect, rewrite

LOW_RANK = "self.scale * (x @ self.down.T @ self.up.T)"
PARAMETERS = """\
        self.down = nn.Parameter(torch.randn(RANK, in_features) / in_features**0.5)
        self.up = nn.Parameter(torch.zeros(out_features, RANK))
"""
FREEZE = """\
        for name, parameter in self.named_parameters():
            parameter.requires_grad = name.endswith(("down", "up", "gain")) or name.startswith("head")
"""
FIRST = tuple(
    f"blocks.{index}{layer}"
    for index in (0, 1)
    for layer in ("", ".norm1", ".query", ".value", ".fc1", ".fc2", ".query.base", ".value.base", ".key", ".out")
)

DEFECTS = [
    defect("scale lost", "scale or constant", LOW_RANK, "(x @ self.down.T @ self.up.T)", "blocks.0.query"),
    defect(
        "scale by the root of the rank", "scale or constant", "ALPHA / RANK\n", "ALPHA / RANK**0.5\n", "blocks.0.query"
    ),
    defect(
        "adapters don't start at nothing",
        "initialisation",
        "torch.zeros(out_features, RANK)",
        "torch.randn(out_features, RANK) * 0.02",
        "blocks.0.query",
    ),
    defect(
        "adapters' first half starts at nothing",
        "initialisation",
        "torch.randn(RANK, in_features) / in_features**0.5",
        "torch.zeros(RANK, in_features)",
        "blocks.0.query",
    ),
    defect("all trained", "detached gradient", FREEZE, "", "tokens", "norm", *FIRST),
    defect(
        "norms trained, too",
        "detached gradient",
        '.endswith(("down", "up", "gain"))',
        '.endswith(("down", "up", "gain", "norm1.weight", "norm1.bias"))',
        "blocks.0.norm1",
        "blocks.1.norm1",
    ),
    defect("head frozen", "detached gradient", ' or name.startswith("head")', "", "head"),
    defect(
        "second halves frozen",
        "detached gradient",
        '("down", "up", "gain")',
        '("down", "gain")',
        "blocks.0.query",
        "blocks.1.value",
        "blocks.1.query",
    ),
    defect(
        "gains frozen",
        "detached gradient",
        '("down", "up", "gain")',
        '("down", "up")',
        "blocks.0",
        "blocks.1",
        "blocks.0.fc2",
    ),
    defect(
        "base under no_grad",
        "detached gradient",
        "        out: Tensor = self.base(x) + " + LOW_RANK + "\n",
        "        with torch.no_grad():\n            base = self.base(x)\n        out: Tensor = base + "
        + LOW_RANK
        + "\n",
        *FIRST,
    ),
    defect("adapters' input detached", "detached gradient", "(x @ self.down.T", "(x.detach() @ self.down.T", *FIRST),
    defect(
        "block under no_grad",
        "detached gradient",
        "            x = block(x)\n",
        "            x = block(x) if block is self.blocks[-1] else block(x).detach()\n",
        *FIRST,
    ),
    defect(
        "adapters on keys",
        "sharing",
        "for one in (self.query(y), self.key(y), self.value(y)))",
        "for one in (self.query(y), self.value(y), self.key(y)))",
        "blocks.0.value.base",
        "blocks.0.value",
        "blocks.0.out",
    ),
    defect(
        "one adapted layer for two",
        "sharing",
        "self.value(y)))",
        "self.query(y)))",
        "blocks.0.query",
        "blocks.0.value",
        "blocks.0.value.base",
        "blocks.0.out",
        "blocks.0.query.base",
    ),
    defect(
        "values' adapters lost",
        "sharing",
        "self.value = Adapted(DIM, DIM)",
        "self.value = nn.Linear(DIM, DIM)",
        "blocks.0.value",
        "blocks.0.value.base",
    ),
    defect(
        "values see what isn't normalised", "normalisation", "self.value(y)))", "self.value(x)))", "blocks.0.value.base"
    ),
    defect(
        "activation between the halves",
        "activation",
        "(x @ self.down.T @ self.up.T)",
        "(torch.relu(x @ self.down.T) @ self.up.T)",
        "blocks.0.query",
    ),
    defect(
        "gains before the activation",
        "activation",
        "functional.gelu(self.fc1(self.norm2(x))) * self.gain",
        "functional.gelu(self.fc1(self.norm2(x)) * self.gain)",
        "blocks.0.fc2",
    ),
    defect("gains start at nothing", "initialisation", "torch.ones(24)", "torch.zeros(24)", "blocks.0"),
    defect("gain added", "scale or constant", " * self.gain", " + self.gain", "blocks.0.fc2"),
    defect(
        "tanh for exact GELU",
        "activation",
        "functional.gelu(self.fc1(self.norm2(x)))",
        'functional.gelu(self.fc1(self.norm2(x)), approximate="tanh")',
        "blocks.0.fc2",
    ),
    defect("first token for the mean", "readout", ".mean(dim=1))", "[:, 0])", "head"),
]

REWRITES = [
    rewrite(
        "halves one after the other",
        (LOW_RANK, "self.scale * functional.linear(functional.linear(x, self.down), self.up)"),
    ),
    rewrite("halves by einsum", (LOW_RANK, 'self.scale * torch.einsum("bti,ri,or->bto", x, self.down, self.up)')),
    rewrite("input scaled", (LOW_RANK, "(self.scale * x) @ self.down.T @ self.up.T")),
    rewrite(
        "merged on the fly",
        (
            "self.base(x) + " + LOW_RANK,
            "functional.linear(x, self.base.weight + self.scale * self.up @ self.down, self.base.bias)",
        ),
    ),
    rewrite(
        "merged by addmm",
        (
            "self.base(x) + " + LOW_RANK,
            "functional.linear(x, torch.addmm(self.base.weight, self.up, self.down, alpha=self.scale), self.base.bias)",
        ),
    ),
    rewrite(
        "halves as layers",
        (
            PARAMETERS,
            "        self.down = nn.Linear(in_features, RANK, bias=False)\n"
            "        self.up = nn.Linear(RANK, out_features, bias=False)\n"
            "        nn.init.zeros_(self.up.weight)\n",
        ),
        (LOW_RANK, "self.scale * self.up(self.down(x))"),
        ('.endswith(("down", "up", "gain"))', '.endswith(("down.weight", "up.weight", "gain"))'),
    ),
    rewrite(
        "halves in a map",
        (
            PARAMETERS,
            "        self.halves = nn.ParameterDict({\n"
            '            "down": nn.Parameter(torch.randn(RANK, in_features) / in_features**0.5),\n'
            '            "up": nn.Parameter(torch.zeros(out_features, RANK)),\n        })\n',
        ),
        (LOW_RANK, 'self.scale * (x @ self.halves["down"].T @ self.halves["up"].T)'),
    ),
    rewrite(
        "a subclass of the linear layer",
        ("class Adapted(nn.Module):", "class Adapted(nn.Linear):"),
        (
            "        super().__init__()\n        self.base = nn.Linear(in_features, out_features)\n",
            "        super().__init__(in_features, out_features)\n",
        ),
        ("self.base(x)", "super().forward(x)"),
    ),
    rewrite(
        "scale in a buffer",
        (
            "        self.scale = ALPHA / RANK\n",
            '        self.register_buffer("scale", torch.tensor(ALPHA / RANK), persistent=False)\n',
        ),
    ),
    rewrite(
        "adapters by a hook",
        (
            "        out: Tensor = self.base(x) + " + LOW_RANK + "\n        return out\n",
            "        out: Tensor = self.base(x)\n        return out\n\n"
            "    def add(self, _module: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:\n"
            '        """What the base returns, adapted."""\n        (x,) = args\n'
            "        return output + " + LOW_RANK + "\n",
        ),
        (
            "        self.scale = ALPHA / RANK\n",
            "        self.scale = ALPHA / RANK\n        self.base.register_forward_hook(self.add)\n",
        ),
    ),
    rewrite(
        "adapters by a hook of the layer's own",
        ("        out: Tensor = self.base(x) + " + LOW_RANK + "\n", "        out: Tensor = self.base(x)\n"),
        (
            "        self.scale = ALPHA / RANK\n",
            "        self.scale = ALPHA / RANK\n"
            "        self.register_forward_hook(lambda module, args, output: output + module.low_rank(*args))\n"
            "\n"
            '    def low_rank(self, x: Tensor) -> Tensor:\n        """What is added."""\n        return '
            + LOW_RANK
            + "\n",
        ),
    ),
    rewrite(
        "adapters by a parametrization",
        (
            "class Adapted(nn.Module):\n",
            'class LowRank(nn.Module):\n    """A weight with a product added."""\n\n'
            "    def __init__(self, in_features: int, out_features: int) -> None:\n"
            "        super().__init__()\n"
            + PARAMETERS
            + '\n    def forward(self, weight: Tensor) -> Tensor:\n        """The same shape."""\n'
            "        return weight + ALPHA / RANK * (self.up @ self.down)\n\n\n"
            "class Adapted(nn.Module):\n",
        ),
        (
            "        self.base = nn.Linear(in_features, out_features)\n"
            + PARAMETERS
            + "        self.scale = ALPHA / RANK\n",
            "        self.base = nn.Linear(in_features, out_features)\n"
            '        parametrize.register_parametrization(self.base, "weight", LowRank(in_features, '
            "out_features))\n",
        ),
        ("self.base(x) + " + LOW_RANK, "self.base(x)"),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.nn.utils import parametrize\n",
        ),
    ),
    rewrite(
        "forward of the base replaced",
        (
            "        self.scale = ALPHA / RANK\n",
            "        self.scale = ALPHA / RANK\n        plain = self.base.forward\n"
            "        self.base.forward = lambda x: plain(x) + " + LOW_RANK + "\n",
        ),
        ("self.base(x) + " + LOW_RANK, "self.base(x)"),
    ),
    rewrite(
        "layers replaced afterwards",
        ("        self.base = nn.Linear(in_features, out_features)\n", "        self.base = base\n"),
        (
            "def __init__(self, in_features: int, out_features: int) -> None:\n"
            "        super().__init__()\n        self.base",
            "def __init__(self, base: nn.Linear) -> None:\n        super().__init__()\n"
            "        in_features, out_features = base.in_features, base.out_features\n"
            "        self.base",
        ),
        ("self.query = Adapted(DIM, DIM)", "self.query = nn.Linear(DIM, DIM)"),
        ("self.value = Adapted(DIM, DIM)", "self.value = nn.Linear(DIM, DIM)"),
        (
            FREEZE,
            '        for block in self.blocks:\n            for name in ("query", "value"):\n'
            "                setattr(block, name, Adapted(getattr(block, name)))\n" + FREEZE,
        ),
    ),
    rewrite(
        "embedding under no_grad",
        ("        x = self.tokens(tokens)\n", "        with torch.no_grad():\n            x = self.tokens(tokens)\n"),
    ),
    rewrite(
        "frozen part by part",
        (
            FREEZE,
            "        self.requires_grad_(False)\n        self.head.requires_grad_(True)\n"
            "        for block in self.blocks:\n            block.gain.requires_grad_(True)\n"
            "            for layer in (block.query, block.value):\n"
            "                layer.down.requires_grad_(True)\n"
            "                layer.up.requires_grad_(True)\n",
        ),
    ),
    rewrite(
        "attention by hand",
        (
            "functional.scaled_dot_product_attention(q, k, v).transpose",
            "((q @ k.transpose(-2, -1) * (DIM // HEADS) ** -0.5).softmax(dim=-1) @ v).transpose",
        ),
    ),
    rewrite(
        "attention's map kept",
        (
            "        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)\n",
            "        self.map = (q @ k.transpose(-2, -1) * (DIM // HEADS) ** -0.5).softmax(dim=-1)\n"
            "        mixed = (self.map @ v).transpose(1, 2).flatten(2)\n",
        ),
    ),
]
