"""Bugs of sentence encoders."""

from defect_zoo.case import Edit, bug, rewrite

DEFECTS = [
    bug(
        "positions are counted from 0, not from behind the padding's",
        "huggingface/sentence-transformers#3879",
        "position",
        " + PADDING + 1",
        "",
        "positions",
    ),
    bug(
        "the mean counts the padding",
        "dbiir/UER-py#190",
        "masking",
        "(x * kept).sum(dim=1) / kept.sum(dim=1)",
        "x.mean(dim=1)",
        "output",
    ),
    bug(
        "the layers' epsilon is the library's",
        "keras-team/keras-hub#642",
        "normalisation",
        "self.norm1 = nn.LayerNorm(DIM, eps=1e-12)",
        "self.norm1 = nn.LayerNorm(DIM)",
        "layer.norm1",
        also=(Edit("self.norm2 = nn.LayerNorm(DIM, eps=1e-12)", "self.norm2 = nn.LayerNorm(DIM)"),),
    ),
    bug(
        "a projection doesn't hear of the bias option",
        "AnswerDotAI/ModernBERT#79",
        "width or bias",
        "self.value = nn.Linear(DIM, DIM, bias=BIAS)",
        "self.value = nn.Linear(DIM, DIM)",
        "layer.value",
    ),
]

REWRITES = [
    rewrite("a mean by einsum", ("(x * kept).sum(dim=1)", 'torch.einsum("btd,bt->bd", x, kept[:, :, 0])')),
    rewrite(
        "positions from a running sum",
        (
            "torch.arange(ids.shape[1]) + PADDING + 1",
            "torch.ones_like(ids).cumsum(dim=1) + PADDING",
        ),
    ),
]
