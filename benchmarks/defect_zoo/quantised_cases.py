"""Cases of the network that is aware of quantisation."""

from defect_zoo.case import Edit, defect, rewrite

OBSERVERS = ("head", "observe1", "conv1", "observe2", "observe3", "conv2", "output")
FOLLOW = """\
        self.low.copy_(low)
        self.high.copy_(high)
        self.is_started.fill_(True)
"""
ROUND = "    out: Tensor = Round.apply(x)\n    return out\n"

DEFECTS = [
    defect("rounding without gradient", "detached gradient", ROUND, "    return x.round()\n", *OBSERVERS),
    defect(
        "gradient halved",
        "detached gradient",
        "        return gradient\n",
        "        return 0.5 * gradient\n",
        *OBSERVERS,
    ),
    defect("down for nearest", "activation", "return x.round()", "return x.floor()", *OBSERVERS),
    defect(
        "observers follow in eval mode, too",
        "train or eval mode",
        "        if self.training:\n            self.follow",
        "        if True:\n            self.follow",
        *OBSERVERS,
    ),
    defect(
        "observers never follow",
        "train or eval mode",
        "        if self.training:\n            self.follow(x.detach())\n",
        "",
        *OBSERVERS,
    ),
    defect(
        "observers follow behind their use",
        "train or eval mode",
        "        if self.training:\n            self.follow(x.detach())\n        step",
        "        old_low, old_high = self.low.clone(), self.high.clone()\n"
        "        if self.training:\n            self.follow(x.detach())\n        step",
        *OBSERVERS,
        also=(Edit("(self.high - self.low).clamp(min=1e-6)", "(old_high - old_low).clamp(min=1e-6)"),),
    ),
    defect("first batch counts as any other", "buffers", "        self.is_started.fill_(True)\n", "", *OBSERVERS),
    defect(
        "observers keep the widest",
        "buffers",
        "low, high = x.min(), x.max()",
        "low, high = torch.minimum(x.min(), self.low), torch.maximum(x.max(), self.high)",
        *OBSERVERS,
    ),
    defect(
        "range by the deviation",
        "buffers",
        "low, high = x.min(), x.max()",
        "low, high = x.mean() - 3 * x.std(), x.mean() + 3 * x.std()",
        *OBSERVERS,
    ),
    defect(
        "observers start wider",
        "buffers",
        'self.register_buffer("high", torch.tensor(1.0))',
        'self.register_buffer("high", torch.tensor(6.0))',
        *OBSERVERS,
    ),
    defect("sixteen steps", "scale or constant", "LEVELS = 15", "LEVELS = 16", *OBSERVERS),
    defect(
        "a scale for the whole weight",
        "axis",
        "weight.detach().abs().flatten(1).amax(dim=1)",
        "weight.detach().abs().amax().expand(len(weight))",
        "conv1",
    ),
    defect(
        "scale with gradient",
        "detached gradient",
        "scale = weight.detach().abs()",
        "scale = weight.abs()",
        "conv1",
        "conv2",
        "head",
        "observe2",
        "output",
    ),
    defect("mean for the largest", "scale or constant", "flatten(1).amax(dim=1)", "flatten(1).mean(dim=1)", "conv1"),
    defect(
        "weights not clamped",
        "scale or constant",
        "scale).clamp(-(LEVELS // 2), LEVELS // 2) * scale",
        "scale) * scale / 1.01",
        "conv1",
    ),
    defect("zero not rounded", "activation", "round_through(-self.low / step)", "-self.low / step", *OBSERVERS),
    defect(
        "zero not taken off",
        "scale or constant",
        ".clamp(0, LEVELS) - zero) * step",
        ".clamp(0, LEVELS)) * step",
        *OBSERVERS,
    ),
    defect(
        "clamp before rounding",
        "activation",
        "round_through(x / step + zero).clamp(0, LEVELS)",
        "round_through((x / step).clamp(0, LEVELS) + zero)",
        *OBSERVERS,
    ),
    defect(
        "head isn't quantised",
        "readout",
        "functional.linear(x, quantise(self.head.weight), self.head.bias)",
        "functional.linear(x, self.head.weight, self.head.bias)",
        "output",
    ),
    defect(
        "head's input not observed",
        "readout",
        "self.observe3(x.mean(dim=(2, 3)))",
        "x.mean(dim=(2, 3))",
        "observe3",
        "output",
    ),
    defect("one observer twice", "sharing", "self.conv2(self.observe2(x))", "self.conv2(self.observe1(x))", *OBSERVERS),
    defect(
        "ReLU for ReLU6",
        "activation",
        "functional.relu6(self.conv1(self.observe1(x)))",
        "functional.relu(self.conv1(self.observe1(x)))",
        *OBSERVERS,
    ),
    defect(
        "stride lost",
        "stride or padding",
        "self.bias, self.stride, self.padding)",
        "self.bias, 1, self.padding)",
        "conv2",
    ),
]

REWRITES = [
    rewrite("straight-through by detaching", (ROUND, "    return x + (x.round() - x).detach()\n")),
    rewrite(
        "straight-through with what it saves",
        ("        return x.round()\n", "        _ctx.save_for_backward(x)\n        return torch.round(x)\n"),
        (
            "        return gradient\n",
            "        (x,) = _ctx.saved_tensors\n        return gradient * torch.ones_like(x)\n",
        ),
    ),
    rewrite(
        "straight-through with a set-up of its own",
        (
            "    def forward(_ctx: Any, x: Tensor) -> Tensor:\n"
            '        """The nearest whole numbers."""\n        return x.round()\n',
            '    def forward(x: Tensor) -> Tensor:\n        """The nearest whole numbers."""\n'
            "        return x.round()\n\n    @staticmethod\n"
            "    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:\n"
            '        """Keep nothing."""\n',
        ),
    ),
    rewrite(
        "rounding under a hook of the tensor",
        (
            ROUND,
            "    if not x.requires_grad:\n        return x.round()\n"
            "    out = x.detach().round().requires_grad_(True)\n"
            "    return _Carry.apply(x, out.detach())\n\n\n"
            'class _Carry(torch.autograd.Function):\n    """A value with another\'s gradient."""\n\n'
            "    @staticmethod\n    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:\n"
            '        """The value."""\n        return value.clone()\n\n'
            "    @staticmethod\n"
            "    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:\n"
            '        """To x."""\n        return gradients[0], None\n',
        ),
    ),
    rewrite(
        "ends filled in place",
        (
            FOLLOW,
            "        self.low.fill_(low.item())\n        self.high.fill_(high.item())\n"
            "        self.is_started |= True\n",
        ),
    ),
    rewrite(
        "ends replaced",
        (
            FOLLOW,
            "        self.low, self.high = low, high\n        self.is_started = torch.ones_like(self.is_started)\n",
        ),
    ),
    rewrite(
        "ends by data",
        (
            FOLLOW,
            "        self.low.data = low\n        self.high.data = high\n        self.is_started.data.fill_(True)\n",
        ),
    ),
    rewrite(
        "ends without a branch",
        (
            "        if self.is_started:\n"
            "            low = self.low + self.momentum * (low - self.low)\n"
            "            high = self.high + self.momentum * (high - self.high)\n",
            "        low = torch.where(self.is_started, torch.lerp(self.low, low, self.momentum), low)\n"
            "        high = torch.where(self.is_started, torch.lerp(self.high, high, self.momentum), high)\n",
        ),
    ),
    rewrite("ends at once", ("low, high = x.min(), x.max()", "low, high = torch.aminmax(x)")),
    rewrite(
        "ends under no_grad",
        ("self.follow(x.detach())", "self.follow(x)"),
        ("    def follow(", "    @torch.no_grad()\n    def follow("),
    ),
    rewrite(
        "observers in a pre-hook",
        ("        if self.training:\n            self.follow(x.detach())\n", ""),
        (
            '        self.register_buffer("is_started", torch.tensor(False))\n',
            '        self.register_buffer("is_started", torch.tensor(False))\n'
            "        self.register_forward_pre_hook(lambda module, args: "
            "module.follow(args[0].detach()) if module.training else None)\n",
        ),
    ),
    rewrite(
        "start counted",
        ("torch.tensor(False)", "torch.tensor(0)"),
        ("if self.is_started:", "if self.is_started > 0:"),
        ("self.is_started.fill_(True)", "self.is_started.fill_(1)"),
    ),
    rewrite(
        "clamped by minimum and maximum",
        (
            "round_through(x / step + zero).clamp(0, LEVELS)",
            "torch.clamp(round_through(x / step + zero), min=0.0, max=float(LEVELS))",
        ),
    ),
    rewrite(
        "largest by norm",
        (
            "weight.detach().abs().flatten(1).amax(dim=1)",
            'torch.linalg.vector_norm(weight.detach().flatten(1), float("inf"), dim=1)',
        ),
    ),
    rewrite(
        "scale kept in shape",
        (
            "weight.detach().abs().flatten(1).amax(dim=1).clamp(min=1e-6) / (LEVELS // 2)\n"
            "    scale = scale.view(-1, *[1] * (weight.dim() - 1))\n",
            "weight.detach().abs().amax(dim=tuple(range(1, weight.dim())), "
            "keepdim=True).clamp(min=1e-6) / (LEVELS // 2)\n",
        ),
    ),
    rewrite(
        "weights under a parametrization",
        (
            'class Convolution(nn.Conv2d):\n    """A convolution with a rounded weight."""\n\n'
            '    def forward(self, x: Tensor) -> Tensor:\n        """As any."""\n'
            "        return functional.conv2d(x, quantise(self.weight), self.bias, self.stride, self.padding)\n",
            'class Quantise(nn.Module):\n    """A rounded weight."""\n\n'
            '    def forward(self, weight: Tensor) -> Tensor:\n        """The same shape."""\n'
            "        return quantise(weight)\n\n\n"
            'class Convolution(nn.Conv2d):\n    """A convolution with a rounded weight."""\n\n'
            "    def __init__(self, *args: Any, **kwargs: Any) -> None:\n"
            "        super().__init__(*args, **kwargs)\n"
            '        parametrize.register_parametrization(self, "weight", Quantise())\n',
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.nn.utils import parametrize\n",
        ),
    ),
    rewrite(
        "head by a layer of its own",
        (
            "class Quantised(nn.Module):",
            'class Readout(nn.Linear):\n    """A linear layer with a rounded weight."""\n\n'
            '    def forward(self, x: Tensor) -> Tensor:\n        """As any."""\n'
            "        return functional.linear(x, quantise(self.weight), self.bias)\n\n\n"
            "class Quantised(nn.Module):",
        ),
        ("self.head = nn.Linear(8, 5)", "self.head = Readout(8, 5)"),
        (
            "        return functional.linear(x, quantise(self.head.weight), self.head.bias)\n",
            "        out: Tensor = self.head(x)\n        return out\n",
        ),
    ),
]
