"""Cases of the vision transformer."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect("scale by the whole width", "attention", "(DIM // HEADS) ** -0.5", "DIM**-0.5", "blocks.0.attn.proj"),
    defect("scale lost", "attention", " * self.scale)", ")", "blocks.0.attn.proj"),
    defect(
        "scale without the root", "attention", "(DIM // HEADS) ** -0.5", "(DIM // HEADS) ** -1.0", "blocks.0.attn.proj"
    ),
    defect("softmax over the queries", "axis", "softmax(dim=-1)", "softmax(dim=-2)", "blocks.0.attn.proj"),
    defect("softmax over the heads", "axis", "softmax(dim=-1)", "softmax(dim=1)", "blocks.0.attn.proj"),
    defect(
        "keys and values change places",
        "head split",
        "qkv[0], qkv[1], qkv[2]",
        "qkv[0], qkv[2], qkv[1]",
        "blocks.0.attn.proj",
    ),
    defect("queries for keys", "head split", "qkv[0], qkv[1], qkv[2]", "qkv[0], qkv[0], qkv[2]", "blocks.0.attn.proj"),
    defect(
        "heads before q, k, v",
        "head split",
        "num_tokens, 3, HEADS, dim // HEADS).permute(2, 0, 3, 1, 4)",
        "num_tokens, HEADS, 3, dim // HEADS).permute(3, 0, 2, 1, 4)",
        "blocks.0.attn.proj",
    ),
    defect(
        "heads interleaved",
        "head split",
        "3, HEADS, dim // HEADS).permute(2, 0, 3, 1, 4)",
        "3, dim // HEADS, HEADS).permute(2, 0, 4, 1, 3)",
        "blocks.0.attn.proj",
    ),
    defect(
        "heads merged without transposing",
        "head split",
        "(weights @ v).transpose(1, 2).reshape",
        "(weights @ v).reshape",
        "blocks.0.attn.proj",
    ),
    defect(
        "one head more of less width",
        "head split",
        "DIM, HEADS, PATCH = 24, 3, 4",
        "DIM, HEADS, PATCH = 24, 4, 4",
        "blocks.0.attn.proj",
    ),
    defect(
        "post-norm",
        "normalisation",
        "x + self.attn(self.norm1(x))",
        "self.norm1(x + self.attn(x))",
        "blocks.0.attn.qkv",
        "blocks.0.norm1",
    ),
    defect(
        "attention taken off before the MLP",
        "residual",
        "self.fc1(self.norm2(x))",
        "self.fc1(self.norm2(x - self.attn(self.norm1(x))))",
        "blocks.0.norm1",
        "blocks.0.norm2",
    ),
    defect("skip around the MLP lost", "residual", "out: Tensor = x + self.fc2", "out: Tensor = self.fc2", "blocks.0"),
    defect(
        "skip from behind the norm",
        "residual",
        "x = x + self.attn(self.norm1(x))",
        "x = self.norm1(x)\n        x = x + self.attn(x)",
        "blocks.0.norm2",
    ),
    defect(
        "attention detached",
        "detached gradient",
        "x = x + self.attn(self.norm1(x))",
        "x = x + self.attn(self.norm1(x.detach()))",
        "patch",
        "blocks.0.norm1",
        "blocks.0",
        "blocks.0.fc2",
    ),
    defect(
        "torch's epsilon",
        "scale or constant",
        "self.norm2 = nn.LayerNorm(DIM, eps=1e-6)",
        "self.norm2 = nn.LayerNorm(DIM)",
        "blocks.0.norm2",
    ),
    defect(
        "tanh approximation of GELU",
        "activation",
        "gelu(self.fc1(self.norm2(x)))",
        'gelu(self.fc1(self.norm2(x)), approximate="tanh")',
        "blocks.0.fc2",
    ),
    defect(
        "quick GELU",
        "activation",
        "x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))",
        "x + self.fc2((y := self.fc1(self.norm2(x))) * (1.702 * y).sigmoid())",
        "blocks.0.fc2",
    ),
    defect(
        "class token at the end",
        "position",
        "[self.cls.expand(len(x), -1, -1), x]",
        "[x, self.cls.expand(len(x), -1, -1)]",
        "blocks.0.norm1",
    ),
    defect("last token read", "readout", "self.norm(x)[:, 0]", "self.norm(x)[:, -1]", "head"),
    defect("first patch read", "readout", "self.norm(x)[:, 0]", "self.norm(x)[:, 1]", "head"),
    defect("mean of the tokens read", "readout", "self.norm(x)[:, 0]", "self.norm(x).mean(dim=1)", "head"),
    defect("norm behind the mean", "readout", "self.norm(x)[:, 0]", "self.norm(x.mean(dim=1))", "norm"),
    defect("last norm lost", "normalisation", "self.norm(x)[:, 0]", "x[:, 0]", "head", "norm"),
    defect(
        "positions added to the patches alone",
        "position",
        "x = x + self.pos",
        "x = torch.cat([x[:, :1], x[:, 1:] + self.pos[:, 1:]], dim=1)",
        "blocks.0.norm1",
    ),
    defect(
        "positions sliced from the wrong end",
        "position",
        "x = x + self.pos",
        "x = x + self.pos.roll(1, dims=1)",
        "blocks.0.norm1",
    ),
    defect("positions of the first token for all", "position", "x + self.pos", "x + self.pos[:, :1]", "blocks.0.norm1"),
    defect(
        "patches by column",
        "axis",
        "self.patch(x).flatten(2)",
        "self.patch(x).transpose(2, 3).flatten(2)",
        "blocks.0.norm1",
    ),
    defect(
        "patches reshaped for transposed",
        "axis",
        ".flatten(2).transpose(1, 2)",
        ".flatten(2).reshape(len(x), 9, DIM)",
        "blocks.0.norm1",
    ),
    defect("class token starts at one", "initialisation", "torch.zeros(1, 1, DIM)", "torch.ones(1, 1, DIM)", "output"),
    defect(
        "class token starts at random",
        "initialisation",
        "torch.zeros(1, 1, DIM)",
        "0.02 * torch.randn(1, 1, DIM)",
        "output",
    ),
    defect("bias in the fused projection", "width or bias", "3 * DIM, bias=False", "3 * DIM", "blocks.0.attn.qkv"),
    defect(
        "overlapping patches of the same number",
        "stride or padding",
        "kernel_size=PATCH, stride=PATCH",
        "kernel_size=PATCH + 1, stride=PATCH, padding=1",
        "patch",
    ),
    defect(
        "one block for all",
        "sharing",
        "nn.ModuleList([Block(), Block()])",
        "nn.ModuleList([Block()] * 2)",
        "blocks.1.norm1",
        "blocks.0.norm1",
    ),
]

REWRITES = [
    rewrite(
        "library's attention",
        (
            (
                "weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)  # (B, H, N, N)\n"
                "        x = (weights @ v)"
            ),
            "x = functional.scaled_dot_product_attention(q, k, v)",
        ),
    ),
    rewrite(
        "einsum",
        ("(q @ k.transpose(-2, -1) * self.scale)", '(torch.einsum("bhqd,bhkd->bhqk", q, k) * self.scale)'),
        ("(weights @ v).transpose(1, 2)", 'torch.einsum("bhqk,bhkd->bqhd", weights, v)'),
    ),
    rewrite(
        "chunks",
        (
            (
                "qkv = self.qkv(x).reshape(batch, num_tokens, 3, HEADS, dim // HEADS).permute(2, 0, 3, 1, "
                "4)\n"
                "        q, k, v = qkv[0], qkv[1], qkv[2]"
            ),
            "q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))",
        ),
    ),
    rewrite("scaled queries", ("(q @ k.transpose(-2, -1) * self.scale)", "((q * self.scale) @ k.mT)")),
    rewrite(
        "layer norm by hand",
        (
            "self.fc1(self.norm2(x))",
            (
                "self.fc1((x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + "
                "1e-6).sqrt() * self.norm2.weight + self.norm2.bias)"
            ),
        ),
    ),
    rewrite(
        "patches by unfold",
        (
            "self.patch(x).flatten(2).transpose(1, 2)",
            (
                "functional.unfold(x, PATCH, stride=PATCH).transpose(1, 2) @ self.patch.weight.flatten(1).T "
                "+ self.patch.bias"
            ),
        ),
    ),
    rewrite("read before the norm", ("self.norm(x)[:, 0]", "self.norm(x[:, 0])")),
    rewrite(
        "checkpointed blocks",
        ("x = block(x)", "x = checkpoint(block, x, use_reentrant=False)"),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite("linear as a matrix product", ("self.proj(x)", "x @ self.proj.weight.T + self.proj.bias")),
]
