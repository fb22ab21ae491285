"""Bugs of transformers written by hand."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "heads merged without a permutation",
        "jsbaan/transformer-from-scratch#6",
        "head split",
        "        values = values.permute(0, 2, 1, 3)\n",
        "",
        "layers.0.attention.out",
    ),
    bug(
        "the padding mask is inverted",
        "lucidrains/x-transformers#160",
        "masking",
        "mask = ~padded[",
        "mask = padded[",
        "layers.0.attention.out",
    ),
    bug(
        "the skip starts behind the norm",
        "pytorch/pytorch#61165",
        "normalisation",
        "x = x + self.attention(normed, padded)",
        "x = normed + self.attention(normed, padded)",
        "layers.0.norm2",
    ),
    bug(
        "sine and cosine of different rates",
        "jadore801120/attention-is-all-you-need-pytorch#32",
        "position",
        "(index // 2 * 2 / DIM)",
        "(2 * index / DIM)",
        "layers.0.norm1",
    ),
    bug(
        "a dropout by function goes on in eval mode",
        "facebookresearch/DME#3",
        "dropout",
        ", training=self.training",
        "",
        "layers.0.norm1",
    ),
]

REWRITES = [
    rewrite(
        "attention by hand",
        (
            "functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)",
            "(q @ k.mT / (DIM / HEADS) ** 0.5).masked_fill(~mask, -torch.inf).softmax(dim=-1) @ v",
        ),
    ),
    rewrite("transposed for permuted", ("values.permute(0, 2, 1, 3)", "values.transpose(1, 2)")),
]
