"""Bugs of diffusion models."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "every layer of a block gets the block's input",
        "cyclomon/UNSB#29",
        "residual",
        "out = conv(out)",
        "out = conv(x)",
        "block.convs.1",
    ),
    bug(
        "softmax over the queries",
        "labmlai/annotated_deep_learning_paper_implementations#146",
        "axis",
        "scores.softmax(dim=2)",
        "scores.softmax(dim=1)",
        "attention.output",
    ),
    bug(
        "a group norm's number of groups is hard-coded",
        "huggingface/diffusers#621",
        "normalisation",
        "nn.GroupNorm(num_groups, CHANNELS)",
        "nn.GroupNorm(32, CHANNELS)",
        "attention.norm",
    ),
]

REWRITES = [
    rewrite(
        "matrix products for einsum",
        (
            'einsum("bihd,bjhd->bijh", q, k) * (channels // HEADS) ** -0.5',
            "(q.transpose(1, 2) @ k.permute(0, 2, 3, 1)).permute(0, 2, 3, 1) * (channels // HEADS) ** -0.5",
        ),
    ),
    rewrite(
        "the library's attention",
        (
            (
                '        scores = einsum("bihd,bjhd->bijh", q, k) * (channels // HEADS) ** -0.5\n'
                "        weights = scores.softmax(dim=2)\n"
                '        mixed = einsum("bijh,bjhd->bihd", weights, v).reshape(batch, -1, channels)\n'
            ),
            (
                "        q, k, v = (part.transpose(1, 2) for part in (q, k, v))\n"
                "        mixed = functional.scaled_dot_product_attention(q, k, v)\n"
                "        mixed = mixed.transpose(1, 2).reshape(batch, -1, channels)\n"
            ),
        ),
    ),
]
