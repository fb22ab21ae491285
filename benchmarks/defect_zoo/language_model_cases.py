"""Cases of the language model."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("head untied", "sharing", "        self.head.weight = self.embed.weight\n", "", "head"),
    defect("embedding's scale lost", "scale or constant", " * math.sqrt(DIM) +", " +", "layers.0.norm1"),
    defect(
        "positions scaled too",
        "scale or constant",
        "self.embed(tokens) * math.sqrt(DIM) + self.positions",
        "(self.embed(tokens) + self.positions) * math.sqrt(DIM)",
        "layers.0.norm1",
    ),
    defect("positions not added", "position", " + self.positions\n", "\n", "layers.0.norm1"),
    defect(
        "positions off by one",
        "position",
        "torch.arange(length)[:, None]",
        "torch.arange(1, length + 1)[:, None]",
        "layers.0.norm1",
    ),
    defect(
        "sine and cosine in halves",
        "position",
        "table[:, 0::2] = torch.sin(position * rates)\n    table[:, 1::2] = ",
        "table[:, : DIM // 2] = torch.sin(position * rates)\n    table[:, DIM // 2 :] = ",
        "layers.0.norm1",
    ),
    defect(
        "sine and cosine change places",
        "position",
        "table[:, 0::2] = torch.sin(position * rates)\n    table[:, 1::2] = torch.cos",
        "table[:, 0::2] = torch.cos(position * rates)\n    table[:, 1::2] = torch.sin",
        "layers.0.norm1",
    ),
    defect("another base", "position", "10000.0", "1000.0", "layers.0.norm1"),
    defect(
        "no causal mask",
        "masking",
        "        scores = scores.masked_fill(~self.mask, -torch.inf)\n",
        "",
        "layers.0.attention.out",
    ),
    defect("mask the other way round", "masking", ".tril()", ".triu()", "layers.0.attention.out"),
    defect("mask looks one step ahead", "masking", ".tril()", ".tril(1)", "layers.0.attention.out"),
    defect("mask over a small number", "masking", "-torch.inf", "-10.0", "layers.0.attention.out"),
    defect(
        "softmax before the mask",
        "masking",
        "scores.masked_fill(~self.mask, -torch.inf)",
        "scores.softmax(dim=-1).masked_fill(~self.mask, 0.0)",
        "layers.0.attention.out",
        also=(Edit("functional.dropout(scores.softmax(dim=-1),", "functional.dropout(scores,"),),
    ),
    defect("mask filled with zero before the softmax", "masking", "-torch.inf", "0.0", "layers.0.attention.out"),
    defect("mask of a window", "masking", ".tril()", ".tril().triu(-3)", "layers.0.attention.out"),
    defect(
        "softmax over the queries",
        "axis",
        "scores.softmax(dim=-1)",
        "scores.softmax(dim=-2).nan_to_num()",
        "layers.0.attention.out",
    ),
    defect(
        "scale of the whole width", "attention", "math.sqrt(DIM / HEADS)", "math.sqrt(DIM)", "layers.0.attention.out"
    ),
    defect(
        "keys for values",
        "attention",
        "(self.query, self.key, self.value)",
        "(self.query, self.value, self.value)",
        "layers.0.attention.value",
        "layers.0.attention.out",
        "layers.0.attention.key",
    ),
    defect(
        "heads split by the wrong factor",
        "head split",
        "unflatten(2, (HEADS, -1)).transpose(1, 2)",
        "unflatten(2, (-1, HEADS)).permute(0, 3, 1, 2)",
        "layers.0.attention.out",
    ),
    defect(
        "heads not turned back",
        "head split",
        "(weights @ v).transpose(1, 2).flatten(2)",
        "(weights @ v).reshape(x.shape)",
        "layers.0.attention.out",
    ),
    defect(
        "attention's dropout lost",
        "dropout",
        "functional.dropout(scores.softmax(dim=-1), 0.1, self.training)",
        "scores.softmax(dim=-1)",
        "layers.0.attention.out",
    ),
    defect(
        "dropout before the softmax",
        "dropout",
        "functional.dropout(scores.softmax(dim=-1), 0.1, self.training)",
        "functional.dropout(scores.nan_to_num(neginf=-1e9), 0.1, self.training).softmax(dim=-1)",
        "layers.0.attention.out",
    ),
    defect("dropout always on", "dropout", "0.1, self.training)", "0.1)", "layers.0.attention.out"),
    defect(
        "gate without SiLU",
        "activation",
        "functional.silu(self.gate(y)) * self.up(y)",
        "self.gate(y) * self.up(y)",
        "layers.0.down",
    ),
    defect(
        "gate on the other half",
        "activation",
        "functional.silu(self.gate(y)) * self.up(y)",
        "self.gate(y) * functional.silu(self.up(y))",
        "layers.0.down",
    ),
    defect("GELU gate", "activation", "functional.silu(", "functional.gelu(", "layers.0.down"),
    defect(
        "gate reads the skip",
        "residual",
        "functional.silu(self.gate(y))",
        "functional.silu(self.gate(x))",
        "layers.0.gate",
    ),
    defect(
        "layer for RMS norm",
        "normalisation",
        "nn.RMSNorm(DIM, eps=1e-6)",
        "nn.LayerNorm(DIM, eps=1e-6, bias=False)",
        "layers.0.norm2",
    ),
    defect("epsilon ten times as large", "scale or constant", "eps=1e-6", "eps=1e-5", "layers.0.norm2"),
    defect(
        "post-norm",
        "normalisation",
        "x = x + self.attention(self.norm1(x))",
        "x = self.norm1(x + self.attention(x))",
        "layers.0.attention.query",
        "layers.0.norm1",
    ),
    defect("last norm lost", "normalisation", "self.head(self.norm(x))", "self.head(x)", "head", "norm"),
    defect(
        "head's weight without gradient",
        "detached gradient",
        "logits: Tensor = self.head(self.norm(x))",
        "logits: Tensor = functional.linear(self.norm(x), self.head.weight.detach())",
        "embed",
        "head",
        "output",
    ),
    defect(
        "embedding looked up in the tied copy's data",
        "detached gradient",
        "self.embed(tokens) *",
        "self.embed.weight.data[tokens] *",
        "embed",
        "head",
    ),
]

REWRITES = [
    rewrite(
        "library's attention",
        (
            (
                "        scores = q @ k.mT / math.sqrt(DIM / HEADS)  # (B, H, T, T)\n"
                "        scores = scores.masked_fill(~self.mask, -torch.inf)\n"
                "        weights = functional.dropout(scores.softmax(dim=-1), 0.1, self.training)\n"
                "        mixed: Tensor = self.out((weights @ v)."
            ),
            (
                "        mixed: Tensor = self.out(functional.scaled_dot_product_attention(q, k, v, "
                "self.mask, 0.1 * self.training)."
            ),
        ),
    ),
    rewrite(
        "mask made on the fly",
        ("~self.mask", "torch.ones(8, 8, dtype=torch.bool, device=x.device).triu(1)"),
        ('        self.register_buffer("mask", torch.ones(8, 8, dtype=torch.bool).tril())\n', ""),
    ),
    rewrite("mask of the other sign", (".tril())", ".triu(1))"), ("~self.mask", "self.mask")),
    rewrite(
        "additive mask",
        (
            "scores.masked_fill(~self.mask, -torch.inf)",
            "scores + torch.zeros_like(scores).masked_fill(~self.mask, -torch.inf)",
        ),
    ),
    rewrite(
        "head by the embedding's weight",
        (
            (
                "        self.head = nn.Linear(DIM, VOCABULARY, bias=False)\n"
                "        self.head.weight = self.embed.weight\n"
            ),
            "",
        ),
        ("self.head(self.norm(x))", "functional.linear(self.norm(x), self.embed.weight)"),
    ),
    rewrite(
        "SiLU by hand",
        ("functional.silu(self.gate(y)) * self.up(y)", "self._silu(self.gate(y)) * self.up(y)"),
        (
            '    def forward(self, x: Tensor) -> Tensor:\n        """The same shape',
            (
                "    def _silu(self, x: Tensor) -> Tensor:\n"
                "        return torch.sigmoid(x) * x\n"
                "\n"
                "    def forward(self, x: Tensor) -> Tensor:\n"
                '        """The same shape'
            ),
        ),
    ),
    rewrite("positions not persistent", ("sinusoids(8))", "sinusoids(8), persistent=False)")),
    rewrite(
        "RMS norm by hand",
        ("y = self.norm2(x)", "y = x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * self.norm2.weight"),
    ),
    rewrite(
        "three projections one by one",
        (
            (
                "q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.query, "
                "self.key, self.value))"
            ),
            (
                "q = self.query(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2)\n"
                "        k = self.key(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2)\n"
                "        v = self.value(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2)"
            ),
        ),
    ),
]
