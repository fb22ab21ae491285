"""Cases of the autoencoder with a codebook."""

from defect_zoo.case import Edit, defect, rewrite

DISTANCE = (
    "lengths = flat.square().sum(dim=1, keepdim=True) + self.codebook.square().sum(dim=1)\n"
    "        distance = lengths - 2 * flat @ self.codebook.T"
)
ENCODER = ("before", "down", "quantiser", "after", "output")
COUNTS = "        self.counts.mul_(self.decay).add_(assigned.sum(dim=0), alpha=1 - self.decay)\n"
SUMS = "        self.sums.mul_(self.decay).add_(assigned.T @ flat, alpha=1 - self.decay)\n"

DEFECTS = [
    defect("a slower codebook", "scale or constant", "decay: float = 0.9", "decay: float = 0.99", "quantiser"),
    defect(
        "codebook moves in eval mode, too",
        "train or eval mode",
        "        if self.training:\n            self.update(flat, codes)\n",
        "        self.update(flat, codes)\n",
        "quantiser",
    ),
    defect(
        "codebook moves in eval mode only",
        "train or eval mode",
        "if self.training:",
        "if not self.training:",
        "quantiser",
    ),
    defect(
        "codebook never moves",
        "train or eval mode",
        "        if self.training:\n            self.update(flat, codes)\n",
        "",
        "quantiser",
    ),
    defect(
        "codebook moves before it's looked up",
        "train or eval mode",
        "        chosen = self.codebook[codes].view_as(x)\n        if self.training:\n"
        "            self.update(flat, codes)\n",
        "        if self.training:\n            self.update(flat, codes)\n"
        "        chosen = self.codebook[codes].view_as(x)\n",
        "quantiser",
    ),
    defect("sums for means", "scale or constant", "self.sums / smoothed[:, None]", "self.sums", "quantiser"),
    defect(
        "counts not smoothed",
        "scale or constant",
        "smoothed = (self.counts + self.epsilon) / (total + CODES * self.epsilon) * total",
        "smoothed = self.counts + self.epsilon",
        "quantiser",
    ),
    defect("another epsilon", "scale or constant", "epsilon: float = 1e-5", "epsilon: float = 1e-3", "quantiser"),
    defect("sums of what was chosen", "buffers", "assigned.T @ flat", "assigned.T @ self.codebook[codes]", "quantiser"),
    defect("counts never move", "buffers", COUNTS, "", "quantiser"),
    defect(
        "sums start from nothing",
        "buffers",
        'self.register_buffer("sums", self.codebook.clone())',
        'self.register_buffer("sums", torch.zeros(CODES, DIM))',
        "quantiser",
    ),
    defect("straight-through lost", "detached gradient", "x + (chosen - x).detach()", "chosen", *ENCODER),
    defect(
        "gradient doubled",
        "detached gradient",
        "x + (chosen - x).detach()",
        "2 * x + (chosen - 2 * x).detach()",
        *ENCODER,
    ),
    defect(
        "commitment without gradient", "detached gradient", "(chosen.detach() - x)", "(chosen - x.detach())", *ENCODER
    ),
    defect("commitment of another paper", "scale or constant", "0.25 * (chosen", "(chosen", "quantiser"),
    defect("the farthest code", "activation", "distance.argmin(dim=1)", "distance.argmax(dim=1)", "quantiser"),
    defect(
        "distances without the codes' lengths",
        "scale or constant",
        " + self.codebook.square().sum(dim=1)",
        "",
        "quantiser",
    ),
    defect("distances of the wrong sign", "scale or constant", "lengths - 2", "lengths + 2", "quantiser"),
    defect(
        "channels taken for places",
        "axis",
        "x.flatten(2).transpose(1, 2))",
        "x.flatten(1).view(len(x), -1, DIM))",
        "quantiser",
    ),
    defect(
        "places transposed",
        "axis",
        "chosen.transpose(1, 2).unflatten(2, (4, 4))",
        "chosen.transpose(1, 2).unflatten(2, (4, 4)).transpose(2, 3)",
        "after",
    ),
    defect("first activation lost", "activation", "functional.relu(self.down(images))", "self.down(images)", "before"),
    defect("last activation lost", "activation", "functional.relu(self.after(x))", "self.after(x)", "up"),
]

REWRITES = [
    rewrite("distances by cdist", (DISTANCE, "distance = torch.cdist(flat, self.codebook)")),
    rewrite("distances by differences", (DISTANCE, "distance = (flat[:, None] - self.codebook).square().sum(dim=2)")),
    rewrite(
        "distances by addmm",
        (
            "lengths - 2 * flat @ self.codebook.T",
            "torch.addmm(lengths, flat, self.codebook.T, alpha=-2)",
        ),
    ),
    rewrite("largest of the negative", ("distance.argmin(dim=1)", "(-distance).max(dim=1).indices")),
    rewrite("nearest by topk", ("distance.argmin(dim=1)", "distance.topk(1, dim=1, largest=False).indices[:, 0]")),
    rewrite("looked up by embedding", ("self.codebook[codes]", "functional.embedding(codes, self.codebook)")),
    rewrite(
        "looked up by a product",
        ("self.codebook[codes]", "(functional.one_hot(codes, CODES).to(flat.dtype) @ self.codebook)"),
    ),
    rewrite(
        "assigned by scatter",
        (
            "functional.one_hot(codes, CODES).to(flat.dtype)",
            "flat.new_zeros(len(flat), CODES).scatter_(1, codes[:, None], 1)",
        ),
    ),
    rewrite(
        "counts and sums by index",
        ("assigned.sum(dim=0)", "torch.bincount(codes, minlength=CODES).to(flat.dtype)"),
        ("assigned.T @ flat", "torch.zeros_like(self.sums).index_add_(0, codes, flat)"),
        ("        assigned = functional.one_hot(codes, CODES).to(flat.dtype)\n", ""),
    ),
    rewrite(
        "averages by lerp",
        (COUNTS, "        self.counts.lerp_(assigned.sum(dim=0), 1 - self.decay)\n"),
        (SUMS, "        self.sums.lerp_(assigned.T @ flat, 1 - self.decay)\n"),
    ),
    rewrite(
        "averages replaced",
        (COUNTS, "        self.counts = self.decay * self.counts + (1 - self.decay) * assigned.sum(dim=0)\n"),
        (SUMS, "        self.sums = self.decay * self.sums + (1 - self.decay) * assigned.T @ flat\n"),
        ("self.codebook.copy_(self.sums / smoothed[:, None])", "self.codebook = self.sums / smoothed[:, None]"),
    ),
    rewrite(
        "averages by data",
        (COUNTS, "        self.counts.data.mul_(self.decay).add_(assigned.sum(dim=0), alpha=1 - self.decay)\n"),
        ("self.codebook.copy_(self.sums / smoothed[:, None])", "self.codebook.data = self.sums / smoothed[:, None]"),
    ),
    rewrite(
        "averages by data of detached vectors",
        ("    @torch.no_grad()\n", ""),
        ("self.update(flat, codes)", "self.update(flat.detach(), codes)"),
    ),
    rewrite(
        "codebook a frozen parameter",
        (
            'self.register_buffer("codebook", torch.randn(CODES, DIM))',
            "self.codebook = nn.Parameter(torch.randn(CODES, DIM), requires_grad=False)",
        ),
        (
            'self.register_buffer("sums", self.codebook.clone())',
            'self.register_buffer("sums", self.codebook.detach().clone())',
        ),
    ),
    rewrite(
        "codebook a frozen embedding",
        (
            'self.register_buffer("codebook", torch.randn(CODES, DIM))',
            "self.table = nn.Embedding(CODES, DIM)\n        self.table.weight.requires_grad_(False)",
        ),
        ("self.codebook.clone()", "self.table.weight.detach().clone()"),
        ("self.codebook[codes]", "self.table(codes)"),
        ("self.codebook.copy_(", "self.table.weight.data.copy_("),
        Edit("flat @ self.codebook.T", "flat @ self.table.weight.T"),
        Edit("self.codebook.square()", "self.table.weight.square()"),
    ),
    rewrite("straight-through the other way round", ("x + (chosen - x).detach()", "chosen.detach() + x - x.detach()")),
    rewrite(
        "straight-through as a function",
        (
            "class Quantiser(",
            'class StraightThrough(torch.autograd.Function):\n    """One forwards, the other backwards."""\n\n'
            "    @staticmethod\n    def forward(ctx: Any, x: Tensor, chosen: Tensor) -> Tensor:\n"
            '        """What was chosen."""\n        return chosen.clone()\n\n'
            "    @staticmethod\n"
            "    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:\n"
            '        """As if it were x."""\n        return gradient, None\n\n\nclass Quantiser(',
        ),
        ("x + (chosen - x).detach()", "StraightThrough.apply(x, chosen)"),
        ("import torch\n", "from typing import Any\n\nimport torch\n"),
    ),
    rewrite(
        "commitment by the library",
        (
            "0.25 * (chosen.detach() - x).square().mean(dim=(1, 2))",
            '0.25 * functional.mse_loss(x, chosen.detach(), reduction="none").flatten(1).mean(dim=1)',
        ),
    ),
    rewrite(
        "codebook moved by a hook",
        ("        if self.training:\n            self.update(flat, codes)\n", ""),
        (
            '        self.register_buffer("sums", self.codebook.clone())\n',
            '        self.register_buffer("sums", self.codebook.clone())\n'
            "        self.register_forward_hook(self.after)\n\n"
            "    def after(self, _: nn.Module, args: tuple[Tensor], output: tuple[Tensor, ...]) -> None:\n"
            '        """Follow."""\n'
            "        if self.training:\n            self.update(args[0].reshape(-1, DIM), output[1].flatten())\n",
        ),
    ),
    rewrite(
        "channels last by permute",
        ("x.flatten(2).transpose(1, 2))", "x.permute(0, 2, 3, 1).flatten(1, 2))"),
        ("chosen.transpose(1, 2).unflatten(2, (4, 4))", "chosen.view(-1, 4, 4, DIM).permute(0, 3, 1, 2).contiguous()"),
    ),
]
