"""Cases of the classifier that gates."""

from defect_zoo.case import Edit, defect, rewrite

NORM = """        mean = x.mean(dim=1, keepdim=True)
        variance = (x - mean).pow(2).mean(dim=1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]
"""
LENGTH = "length = torch.norm(x, p=2, dim=(2, 3), keepdim=True)  # (B, C, 1, 1)"
SHARE = "share: Tensor = length / (length.mean(dim=1, keepdim=True) + 1e-6)"
RESPONSE = "return self.gamma * (x * share) + self.beta + x"
GAMMA = """        self.gamma = nn.Parameter(torch.zeros(1, dim, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, dim, 1, 1))
"""
GATE = """        gate = functional.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * functional.hardsigmoid(self.expand(gate))
"""
EXCITE = """        self.reduce = nn.Conv2d(dim, 4, kernel_size=1)
        self.expand = nn.Conv2d(4, dim, kernel_size=1)
"""
POOLED = "pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)"
KEPT = "kept = torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device) >= self.drop"
STOCHASTIC = f"""        if not self.training or self.drop == 0.0:
            return x
        {KEPT}
        return x * kept / (1.0 - self.drop)
"""
SCALE = "self.scale = nn.Parameter(1e-2 * torch.ones(dim, 1, 1))"
END = "return x + self.stochastic(self.scale * y)"
LAST = "self.head(self.norm(x.mean(dim=(2, 3))))"

DEFECTS = [
    defect(
        "length of the whole image",
        "axis",
        "dim=(2, 3), keepdim=True)  #",
        "dim=(1, 2, 3), keepdim=True)  #",
        "blocks.0.response",
    ),
    defect("length by absolute values", "normalisation", "p=2", "p=1", "blocks.0.response"),
    defect(
        "share of the largest",
        "normalisation",
        "length.mean(dim=1, keepdim=True)",
        "length.amax(dim=1, keepdim=True)",
        "blocks.0.response",
    ),
    defect(
        "share of all examples",
        "axis",
        "length.mean(dim=1, keepdim=True)",
        "length.mean(dim=(0, 1), keepdim=True)",
        "blocks.0.response",
    ),
    defect("share not taken", "normalisation", SHARE, "share: Tensor = length", "blocks.0.response"),
    defect("response without what came in", "residual", "self.beta + x", "self.beta", "blocks.0.response"),
    defect(
        "response starts from ones",
        "initialisation",
        "self.gamma = nn.Parameter(torch.zeros(1, dim, 1, 1))",
        "self.gamma = nn.Parameter(torch.ones(1, dim, 1, 1))",
        "blocks.0.response",
    ),
    defect("share detached", "detached gradient", "(x * share)", "(x * share.detach())", "stem", "blocks.1.out"),
    defect(
        "response norm behind the way back",
        "normalisation",
        "self.back(self.response(y))",
        "self.response(self.back(y))",
        "blocks.0.response",
        "blocks.0.back",
        also=(Edit("ResponseNorm(2 * dim)", "ResponseNorm(dim)"),),
    ),
    defect("sigmoid for hard sigmoid", "activation", "functional.hardsigmoid", "torch.sigmoid", "blocks.0.excitation"),
    defect("tanh of the gate", "activation", "functional.hardsigmoid", "torch.tanh", "blocks.0.excitation"),
    defect(
        "gate added for multiplied",
        "residual",
        "return x * functional.hardsigmoid",
        "return x + functional.hardsigmoid",
        "blocks.0.excitation",
    ),
    defect(
        "maximum for the gate",
        "pooling",
        "x.mean(dim=(2, 3), keepdim=True)))\n",
        "x.amax(dim=(2, 3), keepdim=True)))\n",
        "blocks.0.excitation.reduce",
    ),
    defect(
        "gate over the batch",
        "axis",
        "self.reduce(x.mean(dim=(2, 3), keepdim=True))",
        "self.reduce(x.mean(dim=(0, 2, 3), keepdim=True))",
        "blocks.0.excitation.reduce",
    ),
    defect(
        "activation in the gate lost",
        "activation",
        "functional.relu(self.reduce(",
        "(self.reduce(",
        "blocks.0.excitation.expand",
    ),
    defect(
        "gate detached",
        "detached gradient",
        "self.expand(gate))",
        "self.expand(gate)).detach()",
        "stem",
        "blocks.1.excitation.expand",
    ),
    defect(
        "gate sees no gradient",
        "detached gradient",
        "self.reduce(x.mean",
        "self.reduce(x.detach().mean",
        "stem",
        "blocks.1.back",
    ),
    defect(
        "mean before the maximum",
        "concat order",
        "[x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)]",
        "[x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)]",
        "spatial.conv",
    ),
    defect("mean twice", "pooling", "[x.amax(dim=1, keepdim=True), ", "[x.mean(dim=1, keepdim=True), ", "spatial.conv"),
    defect(
        "smaller kernel of the gate",
        "stride or padding",
        "nn.Conv2d(2, 1, kernel_size=5, padding=2",
        "nn.Conv2d(2, 1, kernel_size=3, padding=1",
        "spatial.conv",
    ),
    defect("momentum of the gate's norm", "scale or constant", ", momentum=0.01", "", "spatial.norm"),
    defect(
        "spatial gate by hard sigmoid",
        "activation",
        "torch.sigmoid(self.norm(self.conv(pooled)))",
        "functional.hardsigmoid(self.norm(self.conv(pooled)))",
        "spatial",
    ),
    defect(
        "spatial gate before the blocks",
        "residual",
        "self.spatial(self.blocks(self.stem(image)))",
        "self.blocks(self.spatial(self.stem(image)))",
        "blocks.0.depthwise",
        "spatial.conv",
    ),
    defect(
        "norm over pixels",
        "axis",
        "mean = x.mean(dim=1, keepdim=True)",
        "mean = x.mean(dim=(2, 3), keepdim=True)",
        "blocks.0.norm",
    ),
    defect(
        "unbiased variance",
        "normalisation",
        "(x - mean).pow(2).mean(dim=1, keepdim=True)",
        "x.var(dim=1, keepdim=True)",
        "blocks.0.norm",
    ),
    defect(
        "epsilon outside of the root",
        "scale or constant",
        "torch.sqrt(variance + 1e-6)",
        "(torch.sqrt(variance) + 1e-6)",
        "blocks.0.norm",
    ),
    defect("epsilon of the default", "scale or constant", "nn.LayerNorm(DIM, eps=1e-6)", "nn.LayerNorm(DIM)", "norm"),
    defect(
        "approximate GELU",
        "activation",
        "functional.gelu(self.out(self.norm(self.depthwise(x))))",
        'functional.gelu(self.out(self.norm(self.depthwise(x))), approximate="tanh")',
        "blocks.0.response",
    ),
    defect("layer scale starts lower", "initialisation", "1e-2 * torch.ones", "1e-6 * torch.ones", "blocks.0"),
    defect(
        "layer scale forgotten",
        "scale or constant",
        "self.stochastic(self.scale * y)",
        "self.stochastic(y + 0 * self.scale)",
        "blocks.0",
    ),
    defect(
        "layer scale frozen",
        "width or bias",
        SCALE,
        "self.scale = nn.Parameter(1e-2 * torch.ones(dim, 1, 1), requires_grad=False)",
        "blocks.0",
        "blocks.1",
    ),
    defect("drop lost", "dropout", "Block(DIM, 0.2)", "Block(DIM, 0.0)", "blocks.1"),
    defect(
        "drop in the first block",
        "dropout",
        "Block(DIM, 0.0), Block(DIM, 0.2)",
        "Block(DIM, 0.2), Block(DIM, 0.0)",
        "blocks.0",
    ),
    defect("drop not made good", "dropout", "x * kept / (1.0 - self.drop)", "x * kept", "blocks.1"),
    defect(
        "drop by pixel", "dropout", "torch.rand(len(x), 1, 1, 1, ", "torch.rand(len(x), 1, *x.shape[2:], ", "blocks.1"
    ),
    defect("drop of the whole block", "dropout", END, "return self.stochastic(x + self.scale * y)", "blocks.1"),
    defect(
        "drop in eval mode", "dropout", "if not self.training or self.drop == 0.0:", "if self.drop == 0.0:", "blocks.1"
    ),
    defect(
        "residual from behind the depthwise",
        "residual",
        END,
        "return self.depthwise(x) + self.stochastic(self.scale * y)",
        "blocks.0.depthwise",
        "blocks.0",
    ),
    defect(
        "norm before the pooling",
        "normalisation",
        LAST,
        "self.head(self.norm(x.movedim(1, -1)).mean(dim=(1, 2)))",
        "norm",
    ),
]

REWRITES = [
    rewrite("length by vector norm", (LENGTH, "length = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)")),
    rewrite("length by squares", (LENGTH, "length = x.square().sum(dim=(2, 3), keepdim=True).sqrt()")),
    rewrite("length of flattened pixels", (LENGTH, "length = x.flatten(2).norm(dim=2)[:, :, None, None]")),
    rewrite("response by addcmul", (RESPONSE, "return torch.addcmul(x, self.gamma, x * share) + self.beta")),
    rewrite("response as one factor", (RESPONSE, "return x * (1 + self.gamma * share) + self.beta")),
    rewrite(
        "response's weights as vectors",
        (GAMMA, GAMMA.replace("1, dim, 1, 1", "dim")),
        (RESPONSE, "return self.gamma[:, None, None] * (x * share) + self.beta[:, None, None] + x"),
    ),
    rewrite(
        "response's weights with channels last",
        (GAMMA, GAMMA.replace("1, dim, 1, 1", "1, 1, 1, dim")),
        (LENGTH, "x = x.permute(0, 2, 3, 1)\n        length = torch.norm(x, p=2, dim=(1, 2), keepdim=True)"),
        ("length.mean(dim=1, keepdim=True) + 1e-6", "length.mean(dim=-1, keepdim=True) + 1e-6"),
        (RESPONSE, "return (self.gamma * (x * share) + self.beta + x).permute(0, 3, 1, 2)"),
    ),
    rewrite(
        "gate by linear layers",
        (EXCITE, "        self.reduce = nn.Linear(dim, 4)\n        self.expand = nn.Linear(4, dim)\n"),
        (
            GATE,
            """        gate = functional.relu(self.reduce(x.mean(dim=(2, 3))))
        return x * functional.hardsigmoid(self.expand(gate))[:, :, None, None]
""",
        ),
    ),
    rewrite(
        "gate in a sequential",
        (
            EXCITE,
            """        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(dim, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, dim, 1), nn.Hardsigmoid()
        )
""",
        ),
        (GATE, "        return self.gate(x) * x\n"),
    ),
    rewrite("gate registered in reverse", (EXCITE, "".join(EXCITE.splitlines(keepends=True)[::-1]))),
    rewrite(
        "gate kept to be looked at",
        (
            GATE,
            GATE.replace(
                "return x * functional.hardsigmoid(self.expand(gate))",
                "self.gate = functional.hardsigmoid(self.expand(gate))\n        return x * self.gate",
            ),
        ),
    ),
    rewrite(
        "gate kept without gradient to be looked at",
        (
            GATE,
            GATE.replace(
                "return x * functional.hardsigmoid(self.expand(gate))",
                "gate = functional.hardsigmoid(self.expand(gate))\n"
                "        self.gate = gate.detach().cpu().clone()\n"
                "        return x * gate",
            ),
        ),
    ),
    rewrite(
        "gate multiplied in place",
        (GATE, GATE.replace("return x * functional", "return x.mul_(functional").rstrip("\n") + ")\n"),
    ),
    rewrite("pooled channels stacked", (POOLED, "pooled = torch.stack([x.amax(dim=1), x.mean(dim=1)], dim=1)")),
    rewrite(
        "pooled channels by max",
        (
            POOLED,
            "pooled = torch.cat([x.max(dim=1, keepdim=True).values, x.sum(dim=1, keepdim=True) / x.shape[1]], dim=1)",
        ),
    ),
    rewrite(
        "norm's function",
        (
            NORM,
            "        return functional.layer_norm(x.movedim(1, -1), (x.shape[1],), "
            "self.weight, self.bias, 1e-6).movedim(-1, 1)\n",
        ),
    ),
    rewrite(
        "norm of one group for each pixel",
        (
            NORM,
            """        flat = x.movedim(1, -1).flatten(0, 2)
        flat = functional.group_norm(flat, 1, self.weight, self.bias, 1e-6)
        return flat.unflatten(0, (x.shape[0], *x.shape[2:])).movedim(-1, 1)
""",
        ),
    ),
    rewrite(
        "norm by variance of the library",
        (
            NORM,
            """        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(variance + 1e-6) * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)
""",
        ),
    ),
    rewrite(
        "linear for the convolutions of width one",
        ("self.out(self.norm(self.depthwise(x)))", "self.wide(self.norm(self.depthwise(x)))"),
        (
            "    def stochastic(",
            '''    def wide(self, x: Tensor) -> Tensor:
        """A product for each pixel."""
        return functional.linear(x.movedim(1, -1), self.out.weight[:, :, 0, 0], self.out.bias).movedim(-1, 1)

    def stochastic(''',
        ),
    ),
    rewrite("drop by a draw of its own", (KEPT, "kept = x.new_empty(len(x), 1, 1, 1).uniform_() >= self.drop")),
    rewrite(
        "drop by floor", (KEPT, "kept = torch.floor(torch.rand(len(x), 1, 1, 1, dtype=x.dtype) + (1.0 - self.drop))")
    ),
    rewrite(
        "drop as a module",
        (END, "return x + self.path(self.scale * y)"),
        (SCALE, SCALE + "\n        self.path = StochasticDepth(drop)"),
        (
            "class Block(",
            f'''class StochasticDepth(nn.Module):
    """Drop whole examples in training."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
{STOCHASTIC}

class Block(''',
        ),
    ),
    rewrite(
        "scale as a vector",
        (SCALE, "self.scale = nn.Parameter(torch.full((dim,), 1e-2))"),
        ("self.scale * y", "self.scale.view(1, -1, 1, 1) * y"),
    ),
    rewrite("scale with a batch axis", (SCALE, "self.scale = nn.Parameter(torch.full((1, dim, 1, 1), 1e-2))")),
    rewrite(
        "scale as a module",
        (SCALE, "self.scale = LayerScale(dim)"),
        ("self.scale * y", "self.scale(y)"),
        (
            "class Block(",
            '''class LayerScale(nn.Module):
    """A factor for each channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bchw,c->bchw", x, self.gamma)


class Block(''',
        ),
    ),
    rewrite("scale folded into the gate", (END, "return torch.addcmul(x, self.scale, self.stochastic(y))")),
    rewrite(
        "blocks in a list",
        ("self.blocks = nn.Sequential(", "self.blocks = nn.ModuleList(["),
        ("Block(DIM, 0.2))", "Block(DIM, 0.2)])"),
        ("self.spatial(self.blocks(self.stem(image)))", "self.through(self.stem(image))"),
        (
            "    def forward(self, image",
            '''    def through(self, x: Tensor) -> Tensor:
        """All blocks, then the gate."""
        for block in self.blocks:
            x = block(x)
        return self.spatial(x)

    def forward(self, image''',
        ),
    ),
    rewrite(
        "memory with channels last",
        ("self.stem(image)", "self.stem(image.contiguous(memory_format=torch.channels_last))"),
    ),
    rewrite(
        "module with channels last",
        ("    return Gating()\n", "    return Gating().to(memory_format=torch.channels_last)\n"),
    ),
]
