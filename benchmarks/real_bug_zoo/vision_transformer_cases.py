"""Bugs of vision transformers."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "scores scaled by the whole width",
        "lucidrains/vit-pytorch#65",
        "attention",
        "dim_head = DIM // HEADS",
        "dim_head = DIM",
        "blocks.0.attn.proj",
    ),
    bug(
        "attention's dropout goes on in eval mode",
        "huggingface/pytorch-image-models#1978",
        "dropout",
        "dropout = self.dropout if self.training else 0.0",
        "dropout = self.dropout",
        "blocks.0.attn.proj",
    ),
    bug(
        "dropout is never on",
        "google-research/vision_transformer#19",
        "dropout",
        "train=self.training",
        "train=False",
        "blocks.0.fc2",
    ),
    bug(
        "the MLP's skip comes from behind the norm",
        "SHI-Labs/Compact-Transformers#25",
        "residual",
        "out: Tensor = x + self.fc2(hidden)",
        "out: Tensor = normed + self.fc2(hidden)",
        "blocks.0",
    ),
]

REWRITES = [
    rewrite(
        "chunks for a permutation",
        (
            "self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)",
            "(part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))",
        ),
    ),
    rewrite(
        "the default scale",
        (", scale=self.scale", ""),
        ("        self.scale = dim_head**-0.5\n", ""),
        ("        dim_head = DIM // HEADS\n", ""),
    ),
]
