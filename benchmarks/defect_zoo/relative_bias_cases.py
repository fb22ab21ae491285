"""Cases of the encoder with relative positions."""

from defect_zoo.case import Edit, defect, rewrite

EXTENDED = """        inverted = 1.0 - mask[:, None, None, :].to(dtype)
        return inverted * torch.finfo(dtype).min
"""
WEIGHTS = """        weights = functional.softmax(scores + bias, dim=-1)
        weights = functional.dropout(weights, p=0.1, training=self.training)
"""
POOLED = """        kept = mask.unsqueeze(-1).to(x.dtype)
        pooled = (x * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1e-9)
"""
BUCKET = """    half = BUCKETS // 2
    side = (distance > 0).long() * half
    distance = distance.abs()
    exact = half // 2
    large = torch.log(distance.float().clamp(min=1) / exact) / math.log(DISTANCE / exact) * (half - exact)
    large = (exact + large.long()).clamp(max=half - 1)
    return side + torch.where(distance < exact, distance, large)
"""
SPLIT = "q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))"
REGISTERED = """        self.q = nn.Linear(DIM, DIM, bias=False)
        self.k = nn.Linear(DIM, DIM, bias=False)
        self.v = nn.Linear(DIM, DIM, bias=False)
        self.o = nn.Linear(DIM, DIM, bias=False)
        if has_bias:
            self.relative = nn.Embedding(BUCKETS, HEADS)
"""
REVERSED = """        if has_bias:
            self.relative = nn.Embedding(BUCKETS, HEADS)
        self.o = nn.Linear(DIM, DIM, bias=False)
        self.v = nn.Linear(DIM, DIM, bias=False)
        self.k = nn.Linear(DIM, DIM, bias=False)
        self.q = nn.Linear(DIM, DIM, bias=False)
"""

DEFECTS = [
    defect(
        "distance of query and key change places",
        "position",
        "place[None, :] - place[:, None]",
        "place[:, None] - place[None, :]",
        "blocks.0.attention.relative",
    ),
    defect(
        "one direction only",
        "position",
        "side = (distance > 0).long() * half",
        "side = (distance > 0).long() * 0",
        "blocks.0.attention.relative",
    ),
    defect(
        "the place itself counted as ahead",
        "position",
        "(distance > 0)",
        "(distance >= 0)",
        "blocks.0.attention.relative",
    ),
    defect(
        "large distances not by logarithm",
        "position",
        "torch.where(distance < exact, distance, large)",
        "distance.clamp(max=half - 1)",
        "blocks.0.attention.relative",
    ),
    defect(
        "longest distance of another model",
        "position",
        "BUCKETS, DISTANCE = 30, 16, 4, 8, 16",
        "BUCKETS, DISTANCE = 30, 16, 4, 8, 128",
        "blocks.0.attention.relative",
    ),
    defect(
        "heads of the bias change places",
        "head split",
        "values.permute(2, 0, 1)",
        "values.flip(2).permute(2, 0, 1)",
        "blocks.0.attention.o",
    ),
    defect(
        "bias not shared with the second layer",
        "sharing",
        "x, bias = block(x, extended, bias)",
        "x, _ = block(x, extended, bias)",
        "blocks.1.attention.o",
        also=(
            Edit(
                "            bias = self.position_bias(x.shape[1]) + mask",
                "            bias = (self.position_bias(x.shape[1]) if self.has_bias else 0) + mask",
            ),
        ),
    ),
    defect(
        "a bias of its own for each layer",
        "sharing",
        "has_bias=index == 0",
        "has_bias=True",
        "blocks.1.attention.relative",
        "blocks.1.attention.o",
        also=(Edit("x, bias = block(x, extended, bias)", "x, _ = block(x, extended, None)"),),
    ),
    defect(
        "scores scaled",
        "attention",
        "k.transpose(3, 2))",
        "k.transpose(3, 2)) / (DIM // HEADS) ** 0.5",
        "blocks.0.attention.o",
    ),
    defect(
        "bias after the softmax",
        "attention",
        "functional.softmax(scores + bias, dim=-1)",
        "functional.softmax(scores, dim=-1) + bias.clamp(min=-10)",
        "blocks.0.attention.o",
    ),
    defect(
        "mask turned round",
        "masking",
        "inverted = 1.0 - mask[:, None, None, :].to(dtype)",
        "inverted = mask[:, None, None, :].to(dtype)",
        "blocks.0.attention.o",
    ),
    defect(
        "queries masked for keys", "masking", "mask[:, None, None, :]", "mask[:, None, :, None]", "blocks.0.attention.o"
    ),
    defect(
        "mask forgotten",
        "masking",
        "self.position_bias(x.shape[1]) + mask",
        "self.position_bias(x.shape[1])",
        "blocks.0.attention.o",
    ),
    defect("mask of minus one", "masking", "inverted * torch.finfo(dtype).min", "-inverted", "blocks.0.attention.o"),
    defect(
        "mean over the padding",
        "pooling",
        "pooled = (x * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1e-9)",
        "pooled = x.mean(dim=1)",
        "project",
    ),
    defect(
        "sum without padding over all tokens", "pooling", "kept.sum(dim=1).clamp(min=1e-9)", "x.shape[1]", "project"
    ),
    defect(
        "first token for the mean",
        "readout",
        "(x * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1e-9)",
        "x[:, 0]",
        "project",
    ),
    defect(
        "gate and value change places",
        "activation",
        'functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x)',
        'self.wi_0(x) * functional.gelu(self.wi_1(x), approximate="tanh")',
        "blocks.0.feed_forward.dropout",
    ),
    defect("exact GELU", "activation", ', approximate="tanh"', "", "blocks.0.feed_forward.dropout"),
    defect(
        "ReLU of the first version",
        "activation",
        'functional.gelu(self.wi_0(x), approximate="tanh")',
        "functional.relu(self.wi_0(x))",
        "blocks.0.feed_forward.dropout",
    ),
    defect(
        "layer norm for the root mean square",
        "normalisation",
        "variance = x.pow(2).mean(-1, keepdim=True)",
        "x = x - x.mean(-1, keepdim=True)\n        variance = x.pow(2).mean(-1, keepdim=True)",
        "blocks.0.norm1",
    ),
    defect(
        "variance for the mean square",
        "normalisation",
        "x.pow(2).mean(-1, keepdim=True)",
        "x.var(-1, keepdim=True, unbiased=False)",
        "blocks.0.norm1",
    ),
    defect(
        "last norm lost",
        "normalisation",
        "self.dropout(self.final_norm(x))",
        "self.dropout(x)",
        "final_norm",
        "dropout",
    ),
    defect("attention's dropout lost", "dropout", "p=0.1, training", "p=0.0, training", "blocks.0.attention.o"),
    defect(
        "attention's dropout stays on", "dropout", "training=self.training", "training=True", "blocks.0.attention.o"
    ),
    defect(
        "residual behind the norm",
        "residual",
        "        mixed, bias = self.attention(self.norm1(x), mask, bias)\n",
        "        x = self.norm1(x)\n        mixed, bias = self.attention(x, mask, bias)\n",
        "blocks.0.norm2",
    ),
    defect(
        "bias without gradient",
        "detached gradient",
        "self.relative(bucket(place[None, :] - place[:, None]))",
        "self.relative(bucket(place[None, :] - place[:, None])).detach()",
        "blocks.0.attention.relative",
    ),
    defect(
        "pooling without gradient",
        "detached gradient",
        "pooled = (x * kept)",
        "pooled = (x.detach() * kept)",
        "shared",
        "final_norm",
    ),
    defect(
        "normalised over the batch", "axis", "self.project(pooled), dim=-1", "self.project(pooled), dim=0", "output"
    ),
]

REWRITES = [
    rewrite(
        "mask filled with the least number",
        (
            EXTENDED,
            """        extended = torch.zeros_like(mask, dtype=dtype)[:, None, None, :]
        return extended.masked_fill(mask[:, None, None, :] == 0, torch.finfo(dtype).min)
""",
        ),
    ),
    rewrite("mask of a fixed number", ("torch.finfo(dtype).min", "-1e9")),
    rewrite(
        "mask of minus ten thousand, as it used to be", ("inverted * torch.finfo(dtype).min", "inverted * -10_000.0")
    ),
    rewrite(
        "mask by where",
        (
            EXTENDED,
            """        least = torch.tensor(torch.finfo(dtype).min, dtype=dtype, device=mask.device)
        return torch.where(mask.bool(), torch.zeros((), dtype=dtype), least)[:, None, None, :]
""",
        ),
    ),
    rewrite(
        "masked where it is used",
        ("inverted * torch.finfo(dtype).min", "inverted"),
        (
            "self.position_bias(x.shape[1]) + mask",
            "self.position_bias(x.shape[1]).masked_fill(mask.bool(), torch.finfo(x.dtype).min)",
        ),
    ),
    rewrite(
        "mask and bias added one by one",
        ("self.position_bias(x.shape[1]) + mask", "self.position_bias(x.shape[1])"),
        ("functional.softmax(scores + bias, dim=-1)", "functional.softmax(scores + bias + mask, dim=-1)"),
    ),
    rewrite(
        "scores added in place",
        (
            WEIGHTS,
            """        scores += bias
        single = torch.promote_types(scores.dtype, torch.float32)
        weights = functional.softmax(scores, dim=-1, dtype=single).type_as(scores)
        weights = functional.dropout(weights, p=0.1, training=self.training)
""",
        ),
    ),
    rewrite(
        "softmax by hand",
        ("functional.softmax(scores + bias, dim=-1)", "self.shares(scores + bias)"),
        (
            "    def position_bias(",
            """    def shares(self, x: Tensor) -> Tensor:
        x = (x - x.amax(dim=-1, keepdim=True)).exp()
        return x / x.sum(dim=-1, keepdim=True)

    def position_bias(""",
        ),
    ),
    rewrite(
        "torch's attention",
        (WEIGHTS, ""),
        ("        scores = torch.matmul(q, k.transpose(3, 2))  # (B, H, T, T)\n", ""),
        ("torch.matmul(weights, v)", "self.mix(q, k, v, bias)"),
        (
            "    def position_bias(",
            """    def mix(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        rate = 0.1 if self.training else 0.0
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=rate, scale=1.0)

    def position_bias(""",
        ),
    ),
    rewrite(
        "einsum for matmul",
        ("torch.matmul(q, k.transpose(3, 2))", 'torch.einsum("bhid,bhjd->bhij", q, k)'),
        (
            "torch.matmul(weights, v).transpose(1, 2).flatten(2)",
            'torch.einsum("bhij,bhjd->bihd", weights, v).flatten(2)',
        ),
    ),
    rewrite(
        "buckets as a table",
        ("        place = torch.arange(length)\n", ""),
        ("self.relative(bucket(place[None, :] - place[:, None]))", "self.relative(self.buckets[:length, :length])"),
        (
            "            self.relative = nn.Embedding(BUCKETS, HEADS)\n",
            """            self.relative = nn.Embedding(BUCKETS, HEADS)
            place = torch.arange(32)
            self.register_buffer("buckets", bucket(place[None, :] - place[:, None]), persistent=False)
""",
        ),
    ),
    rewrite(
        "buckets kept by length",
        (
            "def bucket(",
            "@functools.lru_cache\ndef buckets(length: int) -> Tensor:\n"
            "    place = torch.arange(length)\n    return bucket(place[None, :] - place[:, None])\n\n\ndef bucket(",
        ),
        ("        place = torch.arange(length)\n", ""),
        ("bucket(place[None, :] - place[:, None]))  #", "buckets(length))  #"),
        ("import math\n", "import functools\nimport math\n"),
    ),
    rewrite(
        "buckets by a search in borders",
        (
            BUCKET,
            """    half = BUCKETS // 2
    borders = torch.tensor([1, 2, 6, 16**3])
    return (distance > 0).long() * half + torch.bucketize(distance.abs(), borders, right=True).clamp(max=half - 1)
""",
        ),
    ),
    rewrite(
        "bias as a parameter",
        ("self.relative = nn.Embedding(BUCKETS, HEADS)", "self.relative = nn.Parameter(torch.randn(BUCKETS, HEADS))"),
        (
            "self.relative(bucket(place[None, :] - place[:, None]))",
            "self.relative[bucket(place[None, :] - place[:, None])]",
        ),
    ),
    rewrite(
        "bias looked up for each head",
        ("values.permute(2, 0, 1).unsqueeze(0)", "torch.stack(values.unbind(dim=2)).unsqueeze(0)"),
    ),
    rewrite(
        "bias by the encoder",
        (
            "bias = self.extended_mask(mask, x.dtype), None",
            "bias = self.extended_mask(mask, x.dtype), self.bias(tokens, mask, x)",
        ),
        (
            "    def extended_mask(",
            """    def bias(self, tokens: Tensor, mask: Tensor, x: Tensor) -> Tensor:
        attention = self.blocks[0].attention
        return attention.position_bias(tokens.shape[1]) + self.extended_mask(mask, x.dtype)

    def extended_mask(""",
        ),
    ),
    rewrite("layers registered in reverse", (REGISTERED, REVERSED)),
    rewrite(
        "one layer for queries, keys and values",
        (SPLIT, "q, k, v = self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)"),
        (
            "    def position_bias(",
            """    def qkv(self, x: Tensor) -> Tensor:
        return functional.linear(x, torch.cat([self.q.weight, self.k.weight, self.v.weight]))

    def position_bias(""",
        ),
    ),
    rewrite(
        "norm in at least single precision",
        (
            "        variance = x.pow(2).mean(-1, keepdim=True)\n",
            """        given = x.dtype
        x = x.to(torch.promote_types(given, torch.float32))
        variance = x.pow(2).mean(-1, keepdim=True)
""",
        ),
        (
            "self.weight * (x * torch.rsqrt(variance + self.eps))",
            "self.weight * (x * torch.rsqrt(variance + self.eps)).to(given)",
        ),
    ),
    rewrite("norm of the library", ("self.final_norm = Norm()", "self.final_norm = nn.RMSNorm(DIM, eps=1e-6)")),
    rewrite(
        "mean by a masked sum",
        (
            POOLED,
            """        kept = mask.bool()
        counts = kept.sum(dim=1, keepdim=True).clamp(min=1)
        pooled = x.masked_fill(~kept.unsqueeze(-1), 0.0).sum(dim=1) / counts
""",
        ),
    ),
    rewrite(
        "mean by a product with weights",
        (
            POOLED,
            """        shares = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        pooled = torch.bmm(shares.unsqueeze(1), x).squeeze(1)
""",
        ),
    ),
    rewrite(
        "mean text by text",
        (
            POOLED,
            """        means = [one[seen.bool()].sum(dim=0) / max(1, int(seen.sum())) for one, seen in zip(x, mask)]
        pooled = torch.stack(means)
""",
        ),
    ),
    rewrite(
        "GELU of the first paper",
        ('functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x)', "self.gelu(self.wi_0(x)) * self.wi_1(x)"),
        (
            '    """Gated by GELU, in its approximation."""\n',
            '''    """Gated by GELU, in its approximation."""

    @staticmethod
    def gelu(x: Tensor) -> Tensor:
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))
''',
        ),
    ),
]
