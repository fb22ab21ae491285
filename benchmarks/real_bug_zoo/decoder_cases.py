"""Bugs of language models."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "rope's base is hard-coded",
        "huggingface/candle#3746",
        "position",
        "rates = ROPE_THETA ** -(",
        "rates = 10_000.0 ** -(",
        "layers.0.attention.o_proj",
    ),
    bug(
        "the attention's output is not used",
        "lucidrains/audiolm-pytorch#265",
        "residual",
        "x = x + self.attention(self.norm1(x))",
        "self.attention(self.norm1(x))",
        "layers.0.norm2",
    ),
    bug(
        "exact GELU for its tanh approximation",
        "NVIDIA-NeMo/Megatron-Bridge#4661",
        "activation",
        ', approximate="tanh"',
        "",
        "layers.0.down",
    ),
    bug(
        "the head is not tied to the embedding",
        "huggingface/transformers#43429",
        "sharing",
        "        self.lm_head.weight = self.embed.weight\n",
        "",
        "lm_head",
    ),
    bug(
        "projections have a bias whatever is asked for",
        "vllm-project/vllm#1501",
        "width or bias",
        "Attention(bias=ATTENTION_BIAS)",
        "Attention(bias=True)",
        "layers.0.attention.q_proj",
    ),
]

REWRITES = [
    rewrite(
        "a product with the embedding for the head",
        ("self.lm_head(self.norm(x))", "functional.linear(self.norm(x), self.embed.weight)"),
        (
            "        self.lm_head = nn.Linear(DIM, VOCABULARY, bias=False)\n"
            "        self.lm_head.weight = self.embed.weight\n",
            "",
        ),
    ),
    rewrite(
        "rope with complex numbers",
        (
            "return torch.cat([left * angles.cos() - right * angles.sin(), "
            "right * angles.cos() + left * angles.sin()], dim=-1)",
            "turned = torch.complex(left, right) * torch.polar(torch.ones_like(angles), angles)\n"
            "    return torch.cat([turned.real, turned.imag], dim=-1)",
        ),
    ),
]
