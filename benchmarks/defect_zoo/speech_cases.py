"""Cases of the speech encoder."""

from defect_zoo.case import defect, rewrite

BIAS = "bias = (1.0 - is_speech[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min"
LOOP = """\
        for layer in self.layers:
            if self.training and random.random() < self.drop_layer:
                continue
            x = layer(x, bias)
            states.append(x)
"""
LEAF = "            x.requires_grad = True  # so that checkpoints and frozen layers above get a gradient\n"
TRAIN = (
    "output",
    "features",
    "features.conv1",
    "project",
    "positions",
    "positions.conv",
    "start",
    "layers.0.query",
    "layers.1.query",
    "layers.0",
    "layers.1",
)

NORM = "positions.conv.parametrizations.weight.0"

DEFECTS = [
    defect(
        "padding attended to", "masking", BIAS, BIAS.replace("(1.0 - is_speech", "0 * (1.0 - is_speech"), "layers.0.out"
    ),
    defect(
        "mask inverted",
        "masking",
        "(1.0 - is_speech[:, None, None, :].to(x.dtype))",
        "is_speech[:, None, None, :].to(x.dtype)",
        "layers.0.out",
    ),
    defect(
        "mask over queries",
        "masking",
        "is_speech[:, None, None, :].to",
        "is_speech[:, None, :, None].to",
        "layers.0.out",
    ),
    defect("a weak mask", "masking", "torch.finfo(x.dtype).min", "-1.0", "layers.0.out"),
    defect(
        "padding not set to nothing",
        "masking",
        "        x = x * is_speech[..., None]\n",
        "",
        "positions.conv",
        "positions",
    ),
    defect(
        "positions lost",
        "position",
        "self.start(x + self.positions(x))",
        "self.start(x)",
        "positions",
        NORM,
        "positions.conv",
        "start",
    ),
    defect("first step cut off", "position", "[..., :-1]  #", "[..., 1:]  #", "positions"),
    defect(
        "positions without activation",
        "activation",
        "functional.gelu(y).transpose(1, 2)",
        "y.transpose(1, 2)",
        "positions",
    ),
    defect(
        "weight norm over outputs",
        "normalisation",
        "padding=2, groups=4), dim=2)",
        "padding=2, groups=4), dim=0)",
        NORM,
        "positions.conv",
    ),
    defect(
        "weight norm lost",
        "normalisation",
        "weight_norm(nn.Conv1d(DIM, DIM, kernel_size=4, padding=2, groups=4), dim=2)",
        "nn.Conv1d(DIM, DIM, kernel_size=4, padding=2, groups=4)",
        NORM,
        "positions.conv",
    ),
    defect("two groups", "head split", "padding=2, groups=4)", "padding=2, groups=2)", NORM, "positions.conv"),
    defect("one group for all channels", "normalisation", "nn.GroupNorm(8, 8)", "nn.GroupNorm(1, 8)", "features.norm"),
    defect(
        "second activation lost",
        "activation",
        "functional.gelu(self.conv2(x)).transpose",
        "self.conv2(x).transpose",
        "features",
    ),
    defect(
        "features not normalised",
        "normalisation",
        "self.project(self.norm(self.features(wave)))",
        "self.project(self.features(wave))",
        "project",
        "norm",
    ),
    defect(
        "spans masked in eval mode, too",
        "train or eval mode",
        "        if self.training:\n            x = torch.where",
        "        if True:\n            x = torch.where",
        "positions.conv",
        "output",
        "positions",
    ),
    defect(
        "spans never masked",
        "train or eval mode",
        "        if self.training:\n"
        "            x = torch.where(self.draw_spans(len(x)).to(x.device)[..., None], self.masked, x)\n",
        "",
        "positions.conv",
        "output",
        "positions",
    ),
    defect(
        "spans set to nothing",
        "train or eval mode",
        "[..., None], self.masked, x)",
        "[..., None], torch.zeros_like(self.masked), x)",
        "positions.conv",
        "output",
        "positions",
    ),
    defect(
        "longer spans",
        "train or eval mode",
        "DIM, HEADS, STEPS, SPAN = 16, 2, 7, 2",
        "DIM, HEADS, STEPS, SPAN = 16, 2, 7, 4",
        "positions.conv",
        "output",
        "positions",
    ),
    defect("layers never dropped", "train or eval mode", "drop_layer: float = 0.3", "drop_layer: float = 0.0", *TRAIN),
    defect(
        "layers dropped in eval mode, too",
        "train or eval mode",
        "if self.training and random.random() < self.drop_layer:",
        "if random.random() < self.drop_layer:",
        *TRAIN,
    ),
    defect(
        "features without gradient",
        "detached gradient",
        "self.norm(self.features(wave))",
        "self.norm(self.features(wave).detach())",
        *TRAIN,
        "features.conv2",
    ),
    defect(
        "pre-norm",
        "normalisation",
        "self.norm2(x + self.drop(self.fc2(functional.gelu(self.fc1(x)))))",
        "x + self.drop(self.fc2(functional.gelu(self.fc1(self.norm2(x)))))",
        "layers.0.norm2",
        "layers.0.fc1",
    ),
    defect("scores not scaled", "scale or constant", " * (DIM // HEADS) ** -0.5 + bias", " + bias", "layers.0.out"),
    defect(
        "state before the last",
        "readout",
        "return x, states",
        "return states[-2] if len(states) > 1 else x, states",
        "output",
    ),
]

REWRITES = [
    rewrite("gradient asked for by the method", (LEAF, "            x.requires_grad_(True)\n")),
    rewrite("gradient not asked for", ("        if self.training:\n" + LEAF, "")),
    rewrite(
        "weight norm by a hook",
        ("from torch.nn.utils.parametrizations import weight_norm\n", "from torch.nn.utils import weight_norm\n"),
    ),
    rewrite(
        "weight norm by hand",
        (
            "        self.conv = weight_norm(nn.Conv1d(DIM, DIM, kernel_size=4, padding=2, groups=4), dim=2)\n",
            "        conv = nn.Conv1d(DIM, DIM, kernel_size=4, padding=2, groups=4)\n"
            "        self.bias = nn.Parameter(conv.bias.detach().clone())\n"
            "        self.direction = nn.Parameter(conv.weight.detach().clone())\n"
            "        self.length = nn.Parameter(self.direction.detach().norm(dim=(0, 1), keepdim=True))\n",
        ),
        (
            "        y = self.conv(x.transpose(1, 2))[..., :-1]",
            "        weight = self.length * self.direction / self.direction.norm(dim=(0, 1), keepdim=True)\n"
            "        y = functional.conv1d(x.transpose(1, 2), weight, self.bias, padding=2, groups=4)[..., :-1]",
        ),
    ),
    rewrite(
        "padded on one side",
        ("kernel_size=4, padding=2, groups=4)", "kernel_size=4, groups=4)"),
        (
            "self.conv(x.transpose(1, 2))[..., :-1]  # an even kernel gives one step too many",
            "self.conv(functional.pad(x.transpose(1, 2), (2, 1)))",
        ),
    ),
    rewrite(
        "mask by fill",
        (" + bias\n", "\n        scores = scores.masked_fill(bias, torch.finfo(x.dtype).min)\n"),
        (BIAS, "bias = ~is_speech[:, None, None, :]"),
    ),
    rewrite("mask spread out beforehand", (BIAS, BIAS + "\n        bias = bias.expand(len(x), 1, STEPS, STEPS)")),
    rewrite(
        "library's attention",
        (
            "        scores = q @ k.transpose(-2, -1) * (DIM // HEADS) ** -0.5 + bias\n"
            "        mixed = scores.softmax(dim=-1) @ v\n",
            "        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)\n",
        ),
    ),
    rewrite("padding by fill", ("x = x * is_speech[..., None]", "x = x.masked_fill(~is_speech[..., None], 0.0)")),
    rewrite(
        "padding by index",
        ("        x = x * is_speech[..., None]\n", "        x = x.clone()\n        x[~is_speech] = 0\n"),
    ),
    rewrite(
        "spans by index",
        (
            "            x = torch.where(self.draw_spans(len(x)).to(x.device)[..., None], self.masked, x)\n",
            "            x = x.clone()\n            x[self.draw_spans(len(x)).to(x.device)] = self.masked\n",
        ),
    ),
    rewrite(
        "spans by slices",
        (
            "        steps = np.arange(STEPS)\n"
            "        return torch.from_numpy((steps >= starts) & (steps < starts + SPAN))\n",
            "        spans = torch.zeros(num_examples, STEPS, dtype=torch.bool)\n"
            "        for row, start in enumerate(starts[:, 0]):\n"
            "            spans[row, start : start + SPAN] = True\n        return spans\n",
        ),
    ),
    rewrite(
        "layers dropped the other way round",
        (
            "            if self.training and random.random() < self.drop_layer:\n"
            "                continue\n            x = layer(x, bias)\n            states.append(x)\n",
            "            is_dropped = self.training and random.random() < self.drop_layer\n"
            "            if not is_dropped:\n                x = layer(x, bias)\n"
            "                states.append(x)\n",
        ),
    ),
    rewrite(
        "layers under checkpoints",
        (
            "x = layer(x, bias)\n",
            "x = checkpoint(layer, x, bias, use_reentrant=False) if self.training else layer(x, bias)\n",
        ),
        (
            "from torch.nn.utils.parametrizations import weight_norm\n",
            "from torch.nn.utils.parametrizations import weight_norm\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite(
        "states by hooks of the first forward",
        ("            x = layer(x, bias)\n            states.append(x)\n", "            x = layer(x, bias)\n"),
        (
            "        states = [x]\n",
            "        self.states = states = [x]\n        if not self.is_installed:\n"
            "            for layer in self.layers:\n"
            "                layer.register_forward_hook(lambda _, __, output: self.states.append(output))\n"
            "            self.is_installed = True\n",
        ),
        (
            "        self.drop_layer = drop_layer\n",
            "        self.drop_layer, self.is_installed = drop_layer, False\n        self.states: list[Tensor] = []\n",
        ),
    ),
    rewrite(
        "states by hooks of the constructor",
        ("            x = layer(x, bias)\n            states.append(x)\n", "            x = layer(x, bias)\n"),
        ("        states = [x]\n", "        self.states = states = [x]\n"),
        (
            "        self.layers = nn.ModuleList([Layer(), Layer()])\n",
            "        self.layers = nn.ModuleList([Layer(), Layer()])\n"
            "        self.states: list[Tensor] = []\n        for layer in self.layers:\n"
            "            layer.register_forward_hook(lambda _, __, output: self.states.append(output))\n",
        ),
    ),
    rewrite("GELU written out", ("functional.gelu(y)", "(0.5 * y * (1.0 + torch.erf(y / 2.0**0.5)))")),
]
