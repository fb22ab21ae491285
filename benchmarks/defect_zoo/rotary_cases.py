"""Cases of the rotary decoder."""

from defect_zoo.case import Edit, defect, rewrite

MASK = "mask = torch.full((length, length), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device).triu(1)"
TABLES = """        rates = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
        angles = torch.outer(torch.arange(LENGTH, dtype=torch.float32), rates)  # (T, D / 2)
        angles = torch.cat([angles, angles], dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
"""
REPEATED = """        k = k.repeat_interleave(HEADS // GROUPS, dim=1)
        v = v.repeat_interleave(HEADS // GROUPS, dim=1)
"""
SOFTMAX = """        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD)  # (B, H, T, T)
        mask = torch.full((length, length), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device).triu(1)
        weights = (scores + mask).softmax(dim=-1)
"""
MIXED = "self.o_proj((weights @ v).transpose(1, 2).flatten(2))"
NORM = """        scale = torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)
        return x * scale * self.weight
"""
COMPUTED = '''    def __init__(self) -> None:
        super().__init__()

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Those of the first positions."""
        rates = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
        angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
        return angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
'''
FORWARD = '''    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Those of the first positions."""
'''
ROTARY = f'''    cos: Tensor
    sin: Tensor

    def __init__(self) -> None:
        super().__init__()
{TABLES}
    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Those of the first positions."""
        return self.cos[:length], self.sin[:length]
'''
LAZY = """        if self.cos is None or len(self.cos) < length:
            rates = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
            angles = torch.outer(torch.arange(length, dtype=torch.float32), rates).repeat(1, 2)
            KEEP
        return self.cos[:length], self.sin[:length]
"""

DEFECTS = [
    defect("base of another model", "position", "10_000.0", "500_000.0", "rotary"),
    defect(
        "rates over the whole width",
        "position",
        "dtype=torch.float32) / HEAD)\n        angles = torch.outer",
        "dtype=torch.float32) / (2 * HEAD))\n        angles = torch.outer",
        "rotary",
    ),
    defect(
        "pairs side by side in the table only",
        "position",
        "torch.cat([angles, angles], dim=-1)",
        "angles.repeat_interleave(2, dim=-1)",
        "rotary",
    ),
    defect("turned the other way", "position", "[-second, first]", "[second, -first]", "blocks.0.attention.o_proj"),
    defect("sign lost in the turn", "position", "[-second, first]", "[second, first]", "blocks.0.attention.o_proj"),
    defect(
        "keys not turned",
        "position",
        "rotate(q, cos, sin), rotate(k, cos, sin)",
        "rotate(q, cos, sin), k",
        "blocks.0.attention.o_proj",
    ),
    defect(
        "values turned as well",
        "position",
        "        k = k.repeat_interleave",
        "        v = rotate(v, cos, sin)\n        k = k.repeat_interleave",
        "blocks.0.attention.o_proj",
    ),
    defect(
        "turned by the head's number",
        "position",
        ".transpose(1, 2)  # (B, H, T, D)",
        ".transpose(1, 2)  # (B, H, T, D)\n        cos, sin = cos[:, None], sin[:, None]",
        "blocks.0.attention.o_proj",
        also=(
            Edit(
                "rotate(q, cos, sin), rotate(k, cos, sin)",
                "rotate(q, cos[:HEADS], sin[:HEADS]), rotate(k, cos[:GROUPS], sin[:GROUPS])",
            ),
        ),
    ),
    defect(
        "groups tiled for repeated",
        "head split",
        "k = k.repeat_interleave(HEADS // GROUPS, dim=1)",
        "k = k.repeat(1, HEADS // GROUPS, 1, 1)",
        "blocks.0.attention.o_proj",
    ),
    defect(
        "values of another group",
        "head split",
        "v = v.repeat_interleave(HEADS // GROUPS, dim=1)",
        "v = v.repeat(1, HEADS // GROUPS, 1, 1)",
        "blocks.0.attention.o_proj",
    ),
    defect(
        "heads split off the wrong way",
        "head split",
        "self.q_proj(x).unflatten(2, (HEADS, HEAD)).transpose(1, 2)",
        "self.q_proj(x).unflatten(2, (HEAD, HEADS)).permute(0, 3, 1, 2)",
        "blocks.0.attention.o_proj",
    ),
    defect(
        "scaled by the model's width", "attention", "math.sqrt(HEAD)", "math.sqrt(DIM)", "blocks.0.attention.o_proj"
    ),
    defect("scores not scaled", "attention", " / math.sqrt(HEAD)", "", "blocks.0.attention.o_proj"),
    defect("mask from the diagonal on, but the first", "masking", ".triu(1)", ".triu(2)", "blocks.0.attention.o_proj"),
    defect("mask turned round", "masking", ".triu(1)", ".tril(-1)", "blocks.0.attention.o_proj"),
    defect("softmax over queries", "axis", "softmax(dim=-1)", "softmax(dim=-2)", "blocks.0.attention.o_proj"),
    defect("norm's epsilon", "scale or constant", "eps: float = 1e-5", "eps: float = 1e-3", "blocks.0.input_norm"),
    defect(
        "mean taken off, as in layer norm",
        "normalisation",
        "        scale = torch.rsqrt",
        "        x = x - x.mean(dim=-1, keepdim=True)\n        scale = torch.rsqrt",
        "blocks.0.input_norm",
    ),
    defect(
        "one plus the weight",
        "normalisation",
        "scale * self.weight",
        "scale * (1 + self.weight)",
        "blocks.0.input_norm",
    ),
    defect(
        "gate and value change places",
        "activation",
        "functional.silu(self.gate_proj(x)) * self.up_proj(x)",
        "self.gate_proj(x) * functional.silu(self.up_proj(x))",
        "blocks.0.mlp.down_proj",
    ),
    defect("GELU for SiLU", "activation", "functional.silu", "functional.gelu", "blocks.0.mlp.down_proj"),
    defect(
        "one norm for both",
        "sharing",
        "self.mlp(self.post_norm(x))",
        "self.mlp(self.input_norm(x))",
        "blocks.0.post_norm",
        "blocks.0.input_norm",
    ),
    defect(
        "parallel blocks",
        "residual",
        "self.mlp(self.post_norm(x))",
        "self.mlp(self.post_norm(y))",
        "blocks.0.post_norm",
        also=(Edit("        x = x + self.attention(", "        y = x\n        x = x + self.attention("),),
    ),
    defect("last norm lost", "normalisation", "self.head(self.norm(x))", "self.head(x)", "norm", "head"),
    defect(
        "embedding scaled",
        "scale or constant",
        "x = self.embed(tokens)",
        "x = self.embed(tokens) * DIM**0.5",
        "blocks.0.input_norm",
    ),
    defect(
        "keys without gradient",
        "detached gradient",
        "k = self.k_proj(x)",
        "k = self.k_proj(x).detach()",
        "embed",
        "blocks.1.attention.k_proj",
    ),
    defect(
        "attention read from a cache under no_grad",
        "detached gradient",
        "v = self.v_proj(x).unflatten",
        "with torch.no_grad():\n            v = self.v_proj(x).unflatten",
        "embed",
        "blocks.1.attention.v_proj",
    ),
]

REWRITES = [
    rewrite("table computed on the fly", (ROTARY, COMPUTED)),
    rewrite(
        "table kept at first use",
        (
            ROTARY,
            "    def __init__(self) -> None:\n        super().__init__()\n"
            "        self.cos: Tensor | None = None\n        self.sin: Tensor | None = None\n\n"
            + FORWARD
            + LAZY.replace("KEEP", "self.cos, self.sin = angles.cos(), angles.sin()"),
        ),
    ),
    rewrite(
        "table registered at first use",
        (
            ROTARY,
            "    def __init__(self) -> None:\n        super().__init__()\n        self.cos = None\n\n"
            + FORWARD
            + LAZY.replace("self.cos is None or", "'cos' not in self._buffers or").replace(
                "KEEP",
                'del self.cos\n            self.register_buffer("cos", angles.cos(), persistent=False)\n'
                '            self.register_buffer("sin", angles.sin(), persistent=False)',
            ),
        ),
    ),
    rewrite(
        "table kept outside of the module",
        ("class Rotary(nn.Module):", "CACHE: dict[int, tuple[Tensor, Tensor]] = {}\n\n\nclass Rotary(nn.Module):"),
        (
            ROTARY,
            COMPUTED.replace(
                "        rates = ", "        if length in CACHE:\n            return CACHE[length]\n        rates = "
            ).replace(
                "return angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)",
                "CACHE[length] = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)\n        return CACHE[length]",
            ),
        ),
    ),
    rewrite("tables part of the checkpoint", Edit(", persistent=False", "", every=True)),
    rewrite(
        "rates kept, tables computed",
        (
            TABLES,
            """        rates = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
        self.register_buffer("rates", rates, persistent=False)
""",
        ),
        (
            "        return self.cos[:length], self.sin[:length]\n",
            """        positions = torch.arange(length, dtype=torch.float32)
        angles = torch.outer(positions, self.rates.to(positions.dtype)).repeat(1, 2)
        return angles.cos(), angles.sin()
""",
        ),
    ),
    rewrite(
        "tables as plain attributes",
        ('self.register_buffer("cos", angles.cos(), persistent=False)', "self.cos = angles.cos()"),
        ('self.register_buffer("sin", angles.sin(), persistent=False)', "self.sin = angles.sin()"),
    ),
    rewrite(
        "pairs turned as complex numbers",
        (
            "    return x * cos + rotate_half(x) * sin\n",
            """    half = HEAD // 2
    turn = torch.complex(cos[:, :half], sin[:, :half])
    pairs = torch.view_as_complex(x.unflatten(-1, (2, half)).transpose(-1, -2).contiguous())
    return torch.view_as_real(pairs * turn).transpose(-1, -2).flatten(-2)
""",
        ),
    ),
    rewrite(
        "halves turned one by one",
        (
            "    return x * cos + rotate_half(x) * sin\n",
            """    (a, b), c, s = x.chunk(2, dim=-1), cos.chunk(2, dim=-1)[0], sin.chunk(2, dim=-1)[0]
    return torch.cat([a * c - b * s, b * c + a * s], dim=-1)
""",
        ),
    ),
    rewrite(
        "turn written by addcmul",
        ("return x * cos + rotate_half(x) * sin", "return torch.addcmul(x * cos, rotate_half(x), sin)"),
    ),
    rewrite(
        "turn as a product with matrices",
        (
            "    return x * cos + rotate_half(x) * sin\n",
            """    quarter = torch.zeros(HEAD, HEAD, dtype=x.dtype)
    index = torch.arange(HEAD // 2)
    quarter[index, index + HEAD // 2], quarter[index + HEAD // 2, index] = 1.0, -1.0
    return x * cos + x @ quarter * sin
""",
        ),
    ),
    rewrite(
        "queries and keys turned together",
        (
            "q, k = rotate(q, cos, sin), rotate(k, cos, sin)",
            "q, k = rotate(torch.cat([q, k], dim=1), cos, sin).split([HEADS, GROUPS], dim=1)",
        ),
    ),
    rewrite("masked by infinity", (MASK, "mask = torch.full((length, length), -torch.inf, dtype=x.dtype).triu(1)")),
    rewrite(
        "masked by a truth value",
        (MASK, "mask = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()"),
        ("(scores + mask).softmax", "scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax"),
    ),
    rewrite(
        "mask as a buffer",
        (MASK, "mask = self.mask[:length, :length]"),
        ("(scores + mask).softmax", "torch.where(mask, scores, -torch.inf).softmax"),
        (
            "        self.q_proj = ",
            "        mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()\n"
            '        self.register_buffer("mask", mask, persistent=False)\n        self.q_proj = ',
        ),
    ),
    rewrite(
        "torch's attention",
        (SOFTMAX, ""),
        ("(weights @ v)", "functional.scaled_dot_product_attention(q, k, v, is_causal=True)"),
        ("        length = x.shape[1]\n", ""),
    ),
    rewrite(
        "torch's grouped attention",
        (REPEATED, ""),
        (SOFTMAX, ""),
        ("        length = x.shape[1]\n", ""),
        ("(weights @ v)", "functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)"),
    ),
    rewrite(
        "groups expanded for repeated",
        (
            REPEATED,
            """        k = k[:, :, None].expand(-1, -1, HEADS // GROUPS, -1, -1).flatten(1, 2)
        v = v[:, :, None].expand(-1, -1, HEADS // GROUPS, -1, -1).flatten(1, 2)
""",
        ),
    ),
    rewrite(
        "queries folded into groups",
        (REPEATED, ""),
        ("scores = q @ k.transpose(2, 3)", "scores = q.unflatten(1, (GROUPS, -1)) @ k.transpose(2, 3)[:, :, None]"),
        ("(weights @ v)", "(weights @ v[:, :, None]).flatten(1, 2)"),
    ),
    rewrite(
        "norm of the library",
        ("self.input_norm = RMSNorm(DIM)", "self.input_norm = nn.RMSNorm(DIM, eps=1e-5)"),
        ("self.post_norm = RMSNorm(DIM)", "self.post_norm = nn.RMSNorm(DIM, eps=1e-5)"),
    ),
    rewrite(
        "norm's function", (NORM, "        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)\n")
    ),
    rewrite(
        "norm in at least single precision",
        (
            NORM,
            """        y = x.to(torch.promote_types(x.dtype, torch.float32))
        y = y * torch.rsqrt(y.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)
""",
        ),
    ),
    rewrite(
        "parts registered in reverse",
        (
            "        self.input_norm = RMSNorm(DIM)\n        self.attention = Attention()\n"
            "        self.post_norm = RMSNorm(DIM)\n        self.mlp = MLP()\n",
            "        self.mlp = MLP()\n        self.post_norm = RMSNorm(DIM)\n"
            "        self.attention = Attention()\n        self.input_norm = RMSNorm(DIM)\n",
        ),
    ),
    rewrite(
        "rotary in each attention",
        ("cos, sin = self.rotary(tokens.shape[1])\n", "\n"),
        ("block(x, cos, sin)", "block(x)"),
        (
            'def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:\n        """The same shape."""',
            'def forward(self, x: Tensor) -> Tensor:\n        """The same shape."""',
        ),
        ("self.attention(self.input_norm(x), cos, sin)", "self.attention(self.input_norm(x))"),
        ("        self.rotary = Rotary()\n", ""),
        ("        self.q_proj = ", "        self.rotary = Rotary()\n        self.q_proj = "),
        (
            "def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:",
            "def forward(self, x: Tensor) -> Tensor:",
        ),
        ("        length = x.shape[1]\n", "        length = x.shape[1]\n        cos, sin = self.rotary(length)\n"),
    ),
    rewrite(
        "gate by its own sigmoid",
        (
            "functional.silu(self.gate_proj(x)) * self.up_proj(x)",
            "(g := self.gate_proj(x)) * g.sigmoid() * self.up_proj(x)",
        ),
    ),
    rewrite(
        "gate and value in one product",
        ("functional.silu(self.gate_proj(x)) * self.up_proj(x)", "functional.silu(gate) * value"),
        (
            "        out: Tensor = self.down_proj",
            "        weight = torch.cat([self.gate_proj.weight, self.up_proj.weight])\n"
            "        gate, value = functional.linear(x, weight).chunk(2, dim=-1)\n"
            "        out: Tensor = self.down_proj",
        ),
    ),
]
