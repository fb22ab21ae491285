"""Bugs of frozen batch norms."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "a frozen batch norm without epsilon",
        "pytorch/vision#2169",
        "normalisation",
        "torch.rsqrt(self.running_var + self.eps)",
        "torch.rsqrt(self.running_var)",
        "bn1.act",
    ),
    bug(
        "freezing a batch norm loses its activation",
        "huggingface/pytorch-image-models#1633",
        "activation",
        "Frozen(child, child.act)",
        "Frozen(child, nn.Identity())",
        "bn1.act",
    ),
]

REWRITES = [
    rewrite(
        "normalised first, scaled then",
        (
            "self.act(x * scale[:, None, None] + shift[:, None, None])",
            "self.act((x - self.running_mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None])",
        ),
        ("        shift = self.bias - self.running_mean * scale\n", ""),
    ),
]
