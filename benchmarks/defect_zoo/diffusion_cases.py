"""Cases of the U-Net that predicts noise."""

from defect_zoo.case import Edit, defect, rewrite

RATES = "rates = torch.exp(-math.log(longest) * torch.arange(half, dtype=torch.float32) / half).to(step.device)"
EMBEDDING = f"""    half = dim // 2
    {RATES}
    angles = step[:, None].float() * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
"""
FILM = """        scale, shift = self.film(functional.silu(time))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
"""
ATTEND = """        scale = 1 / math.sqrt(math.sqrt(q.shape[2]))
        weights = torch.einsum("bhdi,bhdj->bhij", q * scale, k * scale).softmax(dim=-1)
        mixed = torch.einsum("bhij,bhdj->bhdi", weights, v).flatten(1, 2)
"""
ZERO = """    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
"""
OUT = "self.out = zero(nn.Conv2d(WIDTH, 2, kernel_size=3, padding=1))"
SKIP = "self.skip = nn.Conv2d(before, after, kernel_size=1) if before != after else nn.Identity()"
ENLARGE = 'functional.interpolate(x, scale_factor=2, mode="nearest")'
TIME = "time = self.time(time_embedding(step).to(image.dtype)) + self.label(label)"

DEFECTS = [
    defect(
        "cosines before sines", "concat order", "[angles.sin(), angles.cos()]", "[angles.cos(), angles.sin()]", "time.0"
    ),
    defect(
        "sines and cosines in turn",
        "position",
        "torch.cat([angles.sin(), angles.cos()], dim=-1)",
        "torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)",
        "time.0",
    ),
    defect(
        "rates to the last but one",
        "position",
        "dtype=torch.float32) / half)",
        "dtype=torch.float32) / (half - 1))",
        "time.0",
    ),
    defect("steps scaled to one", "position", "step[:, None].float()", "step[:, None].float() / 1000", "time.0"),
    defect(
        "longest period of another model",
        "scale or constant",
        "longest: float = 10_000.0",
        "longest: float = 1_000.0",
        "time.0",
    ),
    defect("label forgotten", "residual", " + self.label(label)", " + 0 * self.label(label)", "down.film"),
    defect(
        "label into the time's layers",
        "residual",
        "self.time(time_embedding(step).to(image.dtype)) + self.label(label)",
        "self.time(time_embedding(step).to(image.dtype) + self.label(label))",
        "time.0",
    ),
    defect(
        "activation of the time lost", "activation", "self.film(functional.silu(time))", "self.film(time)", "down.film"
    ),
    defect(
        "scale and shift exchanged",
        "head split",
        "scale, shift = self.film",
        "shift, scale = self.film",
        "down.dropout",
    ),
    defect("scale not added to one", "residual", "(1 + scale)", "scale", "down.dropout"),
    defect("shift left out", "residual", "(1 + scale) + shift", "(1 + scale)", "down.dropout"),
    defect(
        "time before the norm",
        "normalisation",
        "h = self.norm2(h) * (1 + scale) + shift",
        "h = self.norm2(h * (1 + scale) + shift)",
        "down.norm2",
    ),
    defect(
        "time only added",
        "residual",
        "h = self.norm2(h) * (1 + scale) + shift",
        "h = self.norm2(h) + scale + shift",
        "down.dropout",
    ),
    defect(
        "time of the next example",
        "axis",
        FILM.splitlines()[0].strip(),
        FILM.splitlines()[0].strip().replace("functional.silu(time)", "functional.silu(time.roll(1, dims=0))"),
        "down.film",
    ),
    defect(
        "four groups",
        "normalisation",
        "self.norm2 = nn.GroupNorm(2, after)",
        "self.norm2 = nn.GroupNorm(4, after)",
        "down.norm2",
    ),
    defect(
        "group norm's epsilon",
        "scale or constant",
        "self.norm1 = nn.GroupNorm(2, before)",
        "self.norm1 = nn.GroupNorm(2, before, eps=1e-6)",
        "down.norm1",
    ),
    defect(
        "ReLU for SiLU", "activation", "functional.silu(self.norm1(x))", "functional.relu(self.norm1(x))", "down.conv1"
    ),
    defect(
        "dropout behind the convolution",
        "dropout",
        "self.conv2(self.dropout(functional.silu(h)))",
        "self.dropout(self.conv2(functional.silu(h)))",
        "down.dropout",
        "down.conv2",
    ),
    defect("dropout by channel", "dropout", "nn.Dropout(0.1)", "nn.Dropout2d(0.1)", "down.dropout"),
    defect("output doesn't start at nought", "initialisation", OUT, OUT.replace("zero(", "").replace("))", ")"), "out"),
    defect(
        "second convolution doesn't start at nought",
        "initialisation",
        "zero(nn.Conv2d(after, after, kernel_size=3, padding=1))",
        "nn.Conv2d(after, after, kernel_size=3, padding=1)",
        "down.conv2",
    ),
    defect(
        "attention's output doesn't start at nought",
        "initialisation",
        "zero(nn.Conv1d(dim, dim, kernel_size=1))",
        "nn.Conv1d(dim, dim, kernel_size=1)",
        "attention.out",
    ),
    defect(
        "only biases start at nought",
        "initialisation",
        "for parameter in module.parameters():",
        "for parameter in [module.bias]:",
        "down.conv2",
    ),
    defect(
        "scaled twice",
        "attention",
        "1 / math.sqrt(math.sqrt(q.shape[2]))",
        "1 / math.sqrt(q.shape[2])",
        "attention.out",
    ),
    defect(
        "scaled by the whole width",
        "attention",
        "math.sqrt(math.sqrt(q.shape[2]))",
        "math.sqrt(math.sqrt(x.shape[1]))",
        "attention.out",
    ),
    defect("softmax over queries", "axis", "k * scale).softmax(dim=-1)", "k * scale).softmax(dim=-2)", "attention.out"),
    defect(
        "heads before queries, keys and values",
        "head split",
        "(3, HEADS, -1)).unbind(1)",
        "(HEADS, 3, -1)).unbind(2)",
        "attention.out",
    ),
    defect("keys and values exchanged", "attention", "q, k, v = self.qkv", "q, v, k = self.qkv", "attention.out"),
    defect("weights the other way round", "attention", '"bhij,bhdj->bhdi"', '"bhji,bhdj->bhdi"', "attention.out"),
    defect("attention without its residual", "residual", "(flat + added)", "added", "attention"),
    defect(
        "norm after the residual",
        "normalisation",
        "(flat + added)",
        "(self.norm(flat) + added)",
        "attention.norm",
        "attention",
    ),
    defect("bilinear for nearest", "resampling", 'mode="nearest"', 'mode="bilinear"', "enlarge"),
    defect("skip first", "concat order", "torch.cat([x, kept], dim=1)", "torch.cat([kept, x], dim=1)", "up.norm1"),
    defect(
        "skip from the stem",
        "residual",
        "        kept = self.down(self.stem(image), time)\n",
        "        early = self.stem(image)\n        kept = self.down(early, time)\n",
        "up.norm1",
        also=(Edit("torch.cat([x, kept], dim=1)", "torch.cat([x, early], dim=1)"),),
    ),
    defect(
        "last activation lost", "activation", "self.out(functional.silu(self.norm(x)))", "self.out(self.norm(x))", "out"
    ),
    defect(
        "time detached",
        "detached gradient",
        "self.up(torch.cat([x, kept], dim=1), time)",
        "self.up(torch.cat([x, kept], dim=1), time.detach())",
        "time.0",
        "label",
    ),
    defect(
        "time under no_grad",
        "detached gradient",
        f"        {TIME}\n",
        f"        with torch.no_grad():\n            {TIME}\n",
        "time.0",
        "label",
    ),
]

REWRITES = [
    rewrite(
        "rates in a buffer",
        (TIME, TIME.replace("time_embedding(step)", "self.embed(step)")),
        (
            "        self.label = nn",
            """        half = TIME // 2
        rates = torch.exp(-math.log(10_000.0) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("rates", rates, persistent=False)
        self.label = nn""",
        ),
        (
            "    def forward(self, image: Tensor, step",
            '''    def embed(self, step: Tensor) -> Tensor:
        """Sines and cosines."""
        steps = step[:, None].float()
        angles = steps * self.rates.to(steps.dtype)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def forward(self, image: Tensor, step''',
        ),
    ),
    rewrite(
        "time embedding as a module",
        (TIME, TIME.replace("time_embedding(step)", "self.embed(step)")),
        ("        self.label = nn", "        self.embed = TimeEmbedding()\n        self.label = nn"),
        (
            "class ResBlock(",
            '''class TimeEmbedding(nn.Module):
    """Sines and cosines."""

    def forward(self, step: Tensor) -> Tensor:
        return time_embedding(step)


class ResBlock(''',
        ),
    ),
    rewrite(
        "time embedding as a table",
        (TIME, TIME.replace("time_embedding(step)", "self.table[step]")),
        (
            "        self.label = nn",
            """        self.register_buffer("table", time_embedding(torch.arange(1000)), persistent=False)
        self.label = nn""",
        ),
    ),
    rewrite(
        "sines by a shifted phase",
        (
            EMBEDDING,
            f"""    half = dim // 2
    {RATES}
    angles = step[:, None].float() * rates[None]
    table = step.new_zeros(len(step), dim, dtype=torch.float32)
    table[:, :half], table[:, half:] = torch.sin(angles), torch.cos(angles)
    return table
""",
        ),
    ),
    rewrite("angles by an outer product", ("step[:, None].float() * rates[None]", "torch.outer(step.float(), rates)")),
    rewrite(
        "time's layers one by one",
        (
            TIME,
            """time = self.time[0](time_embedding(step).to(image.dtype))
        time = self.time[2](time * time.sigmoid()) + self.label(label)""",
        ),
    ),
    rewrite(
        "label by one hot", ("self.label(label)", "functional.one_hot(label, 4).to(image.dtype) @ self.label.weight")
    ),
    rewrite(
        "film by addcmul",
        (
            FILM,
            """        scale, shift = self.film(functional.silu(time)).chunk(2, dim=1)
        h = self.norm2(h)
        h = torch.addcmul(h + shift[..., None, None], h, scale[..., None, None])
""",
        ),
    ),
    rewrite(
        "film inside the norm's weights",
        (
            FILM,
            """        scale, shift = self.film(functional.silu(time)).chunk(2, dim=1)
        weight, bias = self.norm2.weight * (1 + scale), self.norm2.bias * (1 + scale) + shift
        h = functional.group_norm(h, 2) * weight[:, :, None, None] + bias[:, :, None, None]
""",
        ),
    ),
    rewrite(
        "film in a module of its own",
        (FILM, "        h = self.modulate(self.norm2(h), time)\n"),
        ("        self.norm2 = nn.Group", "        self.modulate = Film(self.film)\n        self.norm2 = nn.Group"),
        (
            "class ResBlock(",
            '''class Film(nn.Module):
    """Scale and shift by time."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.linear(functional.silu(time))[:, :, None, None].chunk(2, dim=1)
        return h * (1 + scale) + shift


class ResBlock(''',
        ),
    ),
    rewrite(
        "film by a hook",
        (FILM, "        self.now = time\n        h = self.norm2(h)\n        del self.now\n"),
        (
            "        self.dropout = nn",
            "        self.norm2.register_forward_hook(self.modulate)\n        self.dropout = nn",
        ),
        (
            "    def forward(self, x: Tensor, time",
            '''    def modulate(self, _norm: nn.Module, _args: object, h: Tensor) -> Tensor:
        """Scale and shift by time."""
        scale, shift = self.film(functional.silu(self.now))[:, :, None, None].chunk(2, dim=1)
        return h * (1 + scale) + shift

    def forward(self, x: Tensor, time''',
        ),
    ),
    rewrite(
        "torch's attention",
        (
            ATTEND,
            """        q, k, v = (one.transpose(2, 3) for one in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2)
""",
        ),
    ),
    rewrite(
        "attention by products",
        (
            ATTEND,
            """        weights = torch.softmax(q.mT @ k / math.sqrt(q.shape[2]), dim=-1)
        mixed = (v @ weights.mT).flatten(1, 2)
""",
        ),
    ),
    rewrite(
        "attention by batched products",
        (
            ATTEND,
            """        q, k, v = (one.flatten(0, 1) for one in (q, k, v))
        weights = torch.baddbmm(q.new_zeros(()), q.mT, k, beta=0, alpha=q.shape[1] ** -0.5).softmax(dim=-1)
        mixed = torch.bmm(v, weights.mT).view_as(flat)
""",
        ),
    ),
    rewrite(
        "attention image by image",
        (
            ATTEND,
            ATTEND.replace("bhdi,bhdj->bhij", "hdi,hdj->hij")
            .replace("bhij,bhdj->bhdi", "hij,hdj->hdi")
            .replace("flatten(1, 2)", "flatten(0, 1)")
            .replace("q.shape[2]", "q.shape[1]")
            .replace("        ", "            ")
            .replace(
                "            scale",
                "        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:\n            scale",
                1,
            )
            .replace("mixed =", "return")
            + "\n        mixed = torch.vmap(attend)(q, k, v)\n",
        ),
    ),
    rewrite(
        "linear for the convolutions of width one",
        (
            "self.qkv(self.norm(flat))",
            "functional.linear(self.norm(flat).mT, self.qkv.weight[:, :, 0], self.qkv.bias).mT",
        ),
    ),
    rewrite(
        "weights zeroed by hand",
        (
            ZERO,
            """    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module
""",
        ),
    ),
    rewrite(
        "weights zeroed through data",
        (
            ZERO,
            """    for parameter in module.parameters():
        parameter.data = torch.zeros_like(parameter.data)
    return module
""",
        ),
    ),
    rewrite(
        "weights zeroed at the end",
        (ZERO, "    module.zeroed = True\n    return module\n"),
        (
            f"        {OUT}\n",
            f"""        {OUT}
        for module in self.modules():
            if getattr(module, "zeroed", False):
                nn.init.constant_(module.weight, 0.0)
                nn.init.constant_(module.bias, 0.0)
""",
        ),
    ),
    rewrite(
        "output multiplied by nought at the start",
        (
            ZERO,
            """    for parameter in module.parameters():
        parameter.detach().mul_(0)
    return module
""",
        ),
    ),
    rewrite(
        "skip only where it is needed",
        (SKIP, "self.skip = nn.Conv2d(before, after, kernel_size=1) if before != after else None"),
        ("self.skip(x) + h", "(x if self.skip is None else self.skip(x)) + h"),
    ),
    rewrite("repeated for resized", (ENLARGE, "x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)")),
    rewrite(
        "expanded for resized",
        (ENLARGE, "x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).flatten(4, 5).flatten(2, 3)"),
    ),
    rewrite(
        "skips on a stack",
        ("        kept = self.down(self.stem(image), time)\n", "        stack = [self.down(self.stem(image), time)]\n"),
        ("self.reduce(kept)", "self.reduce(stack[-1])"),
        ("torch.cat([x, kept], dim=1)", "torch.cat([x, stack.pop()], dim=1)"),
    ),
    rewrite(
        "blocks checkpointed",
        (
            "self.middle(self.reduce(kept), time)",
            "checkpoint(self.middle, self.reduce(kept), time, use_reentrant=False)",
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite(
        "parts registered in reverse",
        ("        self.down = ResBlock(WIDTH, WIDTH)\n", ""),
        ("        self.middle = ResBlock(12, 12)\n", ""),
        (
            "        self.norm = nn.GroupNorm(2, WIDTH)\n",
            "        self.norm = nn.GroupNorm(2, WIDTH)\n"
            "        self.middle = ResBlock(12, 12)\n"
            "        self.down = ResBlock(WIDTH, WIDTH)\n",
        ),
    ),
]
