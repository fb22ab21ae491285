"""Cases of the translator that takes keywords."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "source mask inverted",
        "masking",
        "allowed = src_mask[:, None, None, :]",
        "allowed = ~src_mask[:, None, None, :]",
        "encoder.0.attention.out",
    ),
    defect(
        "source mask forgotten in cross attention",
        "masking",
        "x = layer(x, memory, mask, allowed)",
        "x = layer(x, memory, mask, torch.ones_like(allowed))",
        "decoder.0.cross.out",
    ),
    defect(
        "encoder sees padding",
        "masking",
        "memory = layer(memory, allowed)",
        "memory = layer(memory, torch.ones_like(allowed))",
        "encoder.0.attention.out",
    ),
    defect(
        "causal mask the other way round",
        "masking",
        "device=tgt.device).tril()",
        "device=tgt.device).triu()",
        "decoder.0.attention.out",
    ),
    defect(
        "a step doesn't see itself",
        "masking",
        "device=tgt.device).tril()",
        "device=tgt.device).tril(-1)",
        "decoder.0.attention.out",
    ),
    defect(
        "padding ids attended to",
        "masking",
        "mask = causal & (tgt != PAD)[:, None, None, :]",
        "mask = causal",
        "decoder.0.attention.out",
    ),
    defect(
        "padding masks queries for keys",
        "masking",
        "(tgt != PAD)[:, None, None, :]",
        "(tgt != PAD)[:, None, :, None]",
        "decoder.0.attention.out",
    ),
    defect("another padding id", "masking", "(tgt != PAD)", "(tgt != 1)", "decoder.0.attention.out"),
    defect(
        "memory not normalised",
        "normalisation",
        "        memory = self.encoder_norm(memory)\n",
        "",
        "encoder_norm",
        "decoder.0.cross.key",
        "decoder.0.norm1",
    ),
    defect(
        "cross attention's context from its queries",
        "attention",
        "self.cross(self.norm2(x), memory, memory_mask)",
        "self.cross(memory[:, :6], memory, memory_mask)",
        "decoder.0.norm2",
        "decoder.0.cross.query",
    ),
    defect(
        "readout untied",
        "sharing",
        "functional.linear(self.decoder_norm(x), self.tokens.weight)",
        "self.readout(self.decoder_norm(x))",
        "readout",
        "output",
        also=(
            Edit(
                "        self.decoder_norm = nn.LayerNorm(DIM)\n",
                "        self.decoder_norm = nn.LayerNorm(DIM)\n"
                "        self.readout = nn.Linear(DIM, 20, bias=False)\n",
            ),
        ),
    ),
    defect(
        "embeddings not scaled",
        "scale or constant",
        "math.sqrt(DIM) * self.tokens(tgt)",
        "self.tokens(tgt)",
        "decoder.0.norm1",
    ),
    defect(
        "scores scaled by the whole width",
        "scale or constant",
        "/ math.sqrt(DIM // HEADS)",
        "/ math.sqrt(DIM)",
        "encoder.0.attention.out",
    ),
    defect(
        "sines and cosines in turn",
        "position",
        "torch.cat([angles.sin(), angles.cos()], dim=1)",
        "torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)",
        "encoder.0.norm1",
    ),
    defect("rates of the other paper", "position", "(width // 2 - 1))", "(width // 2))", "encoder.0.norm1"),
    defect(
        "heads split the wrong way",
        "head split",
        "x.unflatten(2, (HEADS, -1)).transpose(1, 2)",
        "x.unflatten(2, (-1, HEADS)).permute(0, 3, 1, 2)",
        "encoder.0.attention.out",
    ),
    defect(
        "memory detached",
        "detached gradient",
        "x = layer(x, memory, mask, allowed)",
        "x = layer(x, memory.detach(), mask, allowed)",
        "stem",
        "encoder_norm",
    ),
    defect(
        "key with a bias of its own",
        "width or bias",
        "self.key = nn.Linear(DIM, DIM, bias=False)",
        "self.key = nn.Linear(DIM, DIM)",
        "encoder.0.attention.key",
    ),
    defect(
        "cross attention before self-attention's skip",
        "residual",
        "x = x + self.drop(self.attention(y, y, mask))\n        x = x + self.drop(self.cross",
        "x = self.drop(self.attention(y, y, mask))\n        x = x + self.drop(self.cross",
        "decoder.0.norm2",
    ),
    defect(
        "stem's activation lost",
        "activation",
        "functional.gelu(self.stem(src.transpose(1, 2)))",
        "self.stem(src.transpose(1, 2))",
        "encoder.0.norm1",
    ),
]

REWRITES = [
    rewrite(
        "keywords in another order",
        (
            "self, src: Tensor, tgt: Tensor, src_mask: Tensor) -> dict",
            "self, tgt: Tensor, src_mask: Tensor, src: Tensor) -> dict",
        ),
    ),
    rewrite(
        "keywords only, and others accepted",
        (
            "self, src: Tensor, tgt: Tensor, src_mask: Tensor) -> dict",
            "self, *, tgt: Tensor, src: Tensor, **kwargs: Tensor) -> dict",
        ),
        ("        allowed = src", '        src_mask = kwargs.pop("src_mask")\n        allowed = src'),
    ),
    rewrite(
        "library's attention",
        (
            "        scores = q @ k.transpose(-2, -1) / math.sqrt(DIM // HEADS)\n"
            "        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)\n"
            "        mixed = scores.softmax(dim=-1) @ v  # (B, heads, T, DIM / heads)\n",
            "        low = torch.finfo(q.dtype).min\n"
            "        bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, low)\n"
            "        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)\n",
        ),
    ),
    rewrite(
        "additive mask",
        (
            "scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)",
            "scores = scores + (1 - mask.to(scores.dtype)) * torch.finfo(scores.dtype).min",
        ),
    ),
    rewrite(
        "where for masked_fill",
        (
            "scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)",
            "scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)",
        ),
    ),
    rewrite(
        "attention by einsum",
        (
            "q @ k.transpose(-2, -1) / math.sqrt(DIM // HEADS)",
            'torch.einsum("bhqd,bhkd->bhqk", q * (DIM // HEADS) ** -0.5, k)',
        ),
        ("scores.softmax(dim=-1) @ v  #", 'torch.einsum("bhqk,bhkd->bhqd", torch.softmax(scores, -1), v)  #'),
    ),
    rewrite(
        "heads by view",
        (
            "x.unflatten(2, (HEADS, -1)).transpose(1, 2)",
            "x.view(x.shape[0], x.shape[1], HEADS, DIM // HEADS).permute(0, 2, 1, 3)",
        ),
        ("mixed.transpose(1, 2).flatten(2)", "mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], DIM)"),
    ),
    rewrite(
        "positions computed on the fly",
        ('        self.register_buffer("positions", sinusoids(9, DIM))\n', ""),
        ("+ self.positions", "+ sinusoids(9, DIM).to(src)"),
    ),
    rewrite(
        "positions not saved",
        (
            'self.register_buffer("positions", sinusoids(9, DIM))',
            'self.register_buffer("positions", sinusoids(9, DIM), persistent=False)',
        ),
    ),
    rewrite(
        "positions as a frozen parameter",
        (
            'self.register_buffer("positions", sinusoids(9, DIM))',
            "self.positions = nn.Parameter(sinusoids(9, DIM), requires_grad=False)",
        ),
    ),
    rewrite(
        "causal mask kept in a buffer",
        (
            "        self.stem = nn",
            "        causal = torch.ones(6, 6, dtype=torch.bool).tril()\n"
            '        self.register_buffer("causal", causal, persistent=False)\n        self.stem = nn',
        ),
        ("        causal = torch.ones(6, 6, dtype=torch.bool, device=tgt.device).tril()\n", ""),
        ("mask = causal &", "mask = self.causal &"),
    ),
    rewrite(
        "causal mask by comparison",
        (
            "causal = torch.ones(6, 6, dtype=torch.bool, device=tgt.device).tril()",
            "step = torch.arange(tgt.shape[1], device=tgt.device)\n        causal = step[:, None] >= step",
        ),
    ),
    rewrite(
        "readout by a tied layer",
        (
            "        self.decoder_norm = nn.LayerNorm(DIM)\n",
            "        self.decoder_norm = nn.LayerNorm(DIM)\n"
            "        self.readout = nn.Linear(DIM, 20, bias=False)\n"
            "        self.readout.weight = self.tokens.weight\n",
        ),
        ("functional.linear(self.decoder_norm(x), self.tokens.weight)", "self.readout(self.decoder_norm(x))"),
    ),
    rewrite(
        "encode and decode as methods",
        (
            "        memory = self.encoder_norm(memory)\n        causal",
            "        memory = self.encoder_norm(memory)\n"
            '        return {"logits": self.decode(tgt, memory, allowed), "encoded": memory}\n\n'
            "    def decode(self, tgt: Tensor, memory: Tensor, allowed: Tensor) -> Tensor:\n"
            '        """The logits."""\n        causal',
        ),
        (
            "        logits = functional.linear(self.decoder_norm(x), self.tokens.weight)\n"
            '        return {"logits": logits, "encoded": memory}\n',
            "        return functional.linear(self.decoder_norm(x), self.tokens.weight)\n",
        ),
    ),
    rewrite(
        "a loop over positions in the module list",
        (
            "        for layer in self.decoder:\n            x = layer(x,",
            "        for index in range(len(self.decoder)):\n            x = self.decoder[index](x,",
        ),
    ),
    rewrite(
        "output as an ordered dict the other way round",
        (
            'return {"logits": logits, "encoded": memory}',
            "return OrderedDict(encoded=memory, logits=logits)",
        ),
        ("import math\n", "import math\nfrom collections import OrderedDict\n"),
    ),
    rewrite(
        "stem padded beforehand",
        ("nn.Conv1d(5, DIM, kernel_size=3, padding=1)", "nn.Conv1d(5, DIM, kernel_size=3)"),
        ("self.stem(src.transpose(1, 2))", "self.stem(functional.pad(src.transpose(1, 2), (1, 1)))"),
    ),
]
