"""Cases of the lean classifier."""

from defect_zoo.case import defect, rewrite

APPLY = "rounded: Tensor = RoundThrough.apply(x / scale)"
QUANTIZED = f"""        scale = self.running_largest.clamp(min=1e-8) / LEVELS
        {APPLY}
        return rounded * scale
"""
OBSERVED = """            with torch.no_grad():
                self.running_largest.mul_(0.9).add_(x.abs().max(), alpha=0.1)
"""
BINARY = """        length = self.weight.abs().mean(dim=1, keepdim=True)
        binary = torch.sign(self.weight) * length.detach()
        binary = self.weight + (binary - self.weight).detach()
"""
NORMED = "self.conv1 = weight_norm(nn.Conv2d(3, 6, kernel_size=3, padding=1))"
IMPORT = "from torch.nn.utils import prune, weight_norm\n"
PRUNED = '        prune.custom_from_mask(self.conv2, "weight", mask)  # type: ignore[no-untyped-call]\n'
CONV2 = "self.conv2 = nn.Conv2d(6, 8, kernel_size=3, stride=2)"
BACKWARD = """        ctx.save_for_backward((x >= -LEVELS - 1) & (x <= LEVELS))
        return x.round().clamp(-LEVELS - 1, LEVELS)
"""
PARTS = """        self.hidden = BinaryLinear(8 * 9, 12)
        self.prelu = nn.PReLU()
        self.head = nn.Linear(12, 4)
"""

DEFECTS = [
    defect(
        "rounded without a gradient",
        "detached gradient",
        APPLY,
        "rounded = (x / scale).round().clamp(-LEVELS - 1, LEVELS)",
        "conv1",
        "conv2",
    ),
    defect(
        "gradient of what is cut off", "detached gradient", "gradients[0] * inside", "gradients[0]", "conv1", "conv2"
    ),
    defect("rounded down", "activation", "x.round()", "x.floor()", "quantize1"),
    defect("truncated", "activation", "x.round()", "x.trunc()", "quantize1"),
    defect("eight bits", "scale or constant", "LEVELS = 7", "LEVELS = 127", "quantize1"),
    defect("never scaled back", "scale or constant", "return rounded * scale", "return rounded", "quantize1"),
    defect(
        "largest of its own in eval mode",
        "train or eval mode",
        "self.running_largest.clamp(min=1e-8)",
        "(self.running_largest if self.training else x.abs().max()).clamp(min=1e-8)",
        "quantize1",
    ),
    defect(
        "largest followed in eval mode, too",
        "buffers",
        "        if self.training:\n            with torch.no_grad():",
        "        if True:\n            with torch.no_grad():",
        "quantize1",
    ),
    defect("largest never followed", "buffers", OBSERVED, "            pass\n", "quantize1"),
    defect(
        "largest followed at another pace",
        "buffers",
        "mul_(0.9).add_(x.abs().max(), alpha=0.1)",
        "mul_(0.99).add_(x.abs().max(), alpha=0.01)",
        "quantize1",
    ),
    defect("largest of positive values only", "buffers", "add_(x.abs().max()", "add_(x.max()", "quantize2"),
    defect("mean for the largest", "buffers", "x.abs().max()", "x.abs().mean()", "quantize1"),
    defect(
        "quantised before the activation",
        "activation",
        "self.quantize2(functional.hardswish(self.conv2(x)))",
        "functional.hardswish(self.quantize2(self.conv2(x)))",
        "quantize2",
    ),
    defect("one quantiser for both", "sharing", "x = self.quantize2(", "x = self.quantize1(", "quantize2", "quantize1"),
    defect("weight norm lost", "normalisation", NORMED, NORMED.replace("weight_norm(", "").replace("))", ")"), "conv1"),
    defect(
        "weight norm over all rows",
        "normalisation",
        "kernel_size=3, padding=1))",
        "kernel_size=3, padding=1), dim=None)",
        "conv1",
    ),
    defect(
        "weight norm over what comes in",
        "normalisation",
        "kernel_size=3, padding=1))",
        "kernel_size=3, padding=1), dim=1)",
        "conv1",
    ),
    defect(
        "weight norm folded in",
        "normalisation",
        NORMED,
        NORMED + "\n        nn.utils.remove_weight_norm(self.conv1)",
        "conv1",
    ),
    defect("never pruned", "masking", PRUNED, "", "conv2"),
    defect("pruned the other way round", "masking", "% 3 != 0", "% 3 == 0", "conv2"),
    defect("every second weight pruned", "masking", "% 3 != 0", "% 2 != 0", "conv2"),
    defect(
        "pruned once, for good", "masking", PRUNED, PRUNED + '        prune.remove(self.conv2, "weight")\n', "conv2"
    ),
    defect(
        "signs without their length",
        "scale or constant",
        "torch.sign(self.weight) * length.detach()",
        "torch.sign(self.weight)",
        "hidden",
    ),
    defect(
        "one length for all rows",
        "axis",
        "self.weight.abs().mean(dim=1, keepdim=True)",
        "self.weight.abs().mean()",
        "hidden",
    ),
    defect(
        "length by columns",
        "axis",
        "self.weight.abs().mean(dim=1, keepdim=True)",
        "self.weight.abs().mean(dim=0, keepdim=True)",
        "hidden",
    ),
    defect(
        "weights not made binary",
        "activation",
        "        binary = self.weight + (binary - self.weight).detach()\n",
        "        binary = self.weight + 0 * (binary - self.weight).detach()\n",
        "hidden",
    ),
    defect(
        "binary weights without a gradient",
        "detached gradient",
        "binary = self.weight + (binary - self.weight).detach()",
        "binary = binary.detach()",
        "hidden",
    ),
    defect(
        "binary weights in eval mode only",
        "train or eval mode",
        "        return functional.linear(x, binary, self.bias)",
        "        return functional.linear(x, self.weight if self.training else binary, self.bias)",
        "hidden",
    ),
    defect("swish for hard swish", "activation", "functional.hardswish", "functional.silu", "quantize2"),
    defect("ReLU for PReLU", "activation", "nn.PReLU()", "nn.ReLU()", "prelu"),
    defect(
        "padding where there was none",
        "stride or padding",
        "kernel_size=3, stride=2)",
        "kernel_size=3, stride=2, padding=1, dilation=2)",
        "conv2",
    ),
]

REWRITES = [
    rewrite(
        "gradient through by a detached difference",
        (
            APPLY,
            """x = (x / scale).clamp(-LEVELS - 1, LEVELS)
        rounded: Tensor = x + (x.round() - x).detach()""",
        ),
    ),
    rewrite(
        "gradient through by a mask",
        (
            APPLY,
            """y = x / scale
        inside = (y >= -LEVELS - 1) & (y <= LEVELS)
        rounded = torch.where(inside, y, y.detach())
        rounded = rounded + (y.round().clamp(-LEVELS - 1, LEVELS) - rounded).detach()""",
        ),
    ),
    rewrite(
        "gradient through by a hook",
        (
            APPLY,
            """y = x / scale
        with torch.no_grad():
            rounded = y.round().clamp(-LEVELS - 1, LEVELS)
            inside = (y >= -LEVELS - 1) & (y <= LEVELS)
        rounded = y - y.detach() + rounded
        if rounded.requires_grad:
            rounded.register_hook(lambda gradient: gradient * inside)""",
        ),
    ),
    rewrite(
        "context set up apart",
        (
            '    def forward(ctx: Any, x: Tensor) -> Tensor:\n        """Round to',
            '    def forward(x: Tensor) -> Tensor:\n        """Round to',
        ),
        (
            BACKWARD,
            '''        return x.round().clamp(-LEVELS - 1, LEVELS)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Keep which belong to the range."""
        (x,) = inputs
        ctx.save_for_backward((x >= -LEVELS - 1) & (x <= LEVELS))
''',
        ),
    ),
    rewrite(
        "context keeps the input",
        (
            BACKWARD,
            """        ctx.save_for_backward(x)
        return x.round().clamp(-LEVELS - 1, LEVELS)
""",
        ),
        (
            "        (inside,) = ctx.saved_tensors\n",
            "        (x,) = ctx.saved_tensors\n        inside = (x >= -LEVELS - 1) & (x <= LEVELS)\n",
        ),
    ),
    rewrite(
        "context keeps an attribute",
        (
            BACKWARD,
            """        ctx.inside = (x >= -LEVELS - 1) & (x <= LEVELS)
        return x.round().clamp(-LEVELS - 1, LEVELS)
""",
        ),
        ("        (inside,) = ctx.saved_tensors\n", "        inside = ctx.inside\n"),
    ),
    rewrite(
        "clamped before rounding",
        (
            BACKWARD,
            """        ctx.save_for_backward((x >= -LEVELS - 1) & (x <= LEVELS))
        return x.clamp(-LEVELS - 1, LEVELS).round()
""",
        ),
    ),
    rewrite("largest by lerp", (OBSERVED, "            self.running_largest.lerp_(x.detach().abs().max(), 0.1)\n")),
    rewrite(
        "largest replaced for written",
        (OBSERVED, "            self.running_largest = 0.9 * self.running_largest + 0.1 * x.detach().abs().max()\n"),
    ),
    rewrite(
        "largest moved through data",
        (OBSERVED, "            self.running_largest.data = self.running_largest * 0.9 + x.data.abs().max() * 0.1\n"),
    ),
    rewrite("largest by both ends", ("x.abs().max()", "torch.maximum(x.max(), -x.min())")),
    rewrite("largest by its norm", ("x.abs().max()", "torch.linalg.vector_norm(x, ord=torch.inf)")),
    rewrite(
        "largest observed by a hook before",
        ("        if self.training:\n" + OBSERVED, ""),
        (
            '        self.register_buffer("running_largest", torch.ones(()))\n',
            """        self.register_buffer("running_largest", torch.ones(()))
        self.register_forward_pre_hook(observe)
""",
        ),
        (
            "class FakeQuantize(",
            '''@torch.no_grad()
def observe(module: nn.Module, args: tuple[Tensor]) -> None:
    """Let the largest value follow."""
    if module.training:
        module.running_largest.mul_(0.9).add_(args[0].abs().max(), alpha=0.1)


class FakeQuantize(''',
        ),
    ),
    rewrite(
        "weight norm parametrized",
        (IMPORT, "from torch.nn.utils import prune\nfrom torch.nn.utils.parametrizations import weight_norm\n"),
    ),
    rewrite(
        "weight norm by hand",
        (NORMED, "self.conv1 = NormedConv(3, 6, kernel_size=3, padding=1)"),
        (
            "class Lean(",
            '''class NormedConv(nn.Conv2d):
    """A convolution with lengths of its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.weight_g = nn.Parameter(self.weight.detach().flatten(1).norm(dim=1)[:, None, None, None])

    def forward(self, x: Tensor) -> Tensor:
        length = self.weight.flatten(1).norm(dim=1)[:, None, None, None]
        return self._conv_forward(x, self.weight * (self.weight_g / length), self.bias)


class Lean(''',
        ),
    ),
    rewrite(
        "weight norm put on afterwards",
        (NORMED, "self.conv1 = nn.Conv2d(3, 6, kernel_size=3, padding=1)"),
        (PARTS, PARTS + '        self.conv1 = weight_norm(self.conv1, name="weight")\n'),
    ),
    rewrite(
        "pruned by a parametrization",
        (PRUNED, '        parametrize.register_parametrization(self.conv2, "weight", Masked(mask))\n'),
        (IMPORT, IMPORT.rstrip("\n").replace("prune, ", "parametrize, ") + "\n"),
        (
            "class Lean(",
            '''class Masked(nn.Module):
    """Sets some weights to nought."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


class Lean(''',
        ),
    ),
    rewrite(
        "pruned in the forward",
        (PRUNED, '        self.register_buffer("mask", mask)\n'),
        ("self.conv2(x)))", "functional.conv2d(x, self.conv2.weight * self.mask, self.conv2.bias, stride=2)))"),
    ),
    rewrite(
        "pruned by a gradient hook and a mask at the start",
        (PRUNED, '        self.register_buffer("mask", mask, persistent=False)\n'),
        (
            "self.conv2(x)))",
            "functional.conv2d(x, self.conv2.weight.masked_fill(~self.mask, 0.0), self.conv2.bias, stride=2)))",
        ),
    ),
    rewrite("pruned twice by the same mask", (PRUNED, PRUNED + PRUNED)),
    rewrite(
        "binary weights by a function",
        (BINARY, "        binary = Binarize.apply(self.weight)\n"),
        (
            "class BinaryLinear(",
            '''class Binarize(torch.autograd.Function):
    """Signs with a length for each row; the gradient goes through."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.sign() * weight.abs().mean(dim=1, keepdim=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class BinaryLinear(''',
        ),
    ),
    rewrite(
        "binary weights by a parametrization",
        (BINARY, ""),
        ("functional.linear(x, binary, self.bias)", "functional.linear(x, self.weight, self.bias)"),
        (
            "        self.bias = nn.Parameter(torch.zeros(after))\n",
            """        self.bias = nn.Parameter(torch.zeros(after))
        nn.utils.parametrize.register_parametrization(self, "weight", Binary())
""",
        ),
        (
            "class BinaryLinear(",
            '''class Binary(nn.Module):
    """Signs with a length for each row; the gradient goes through."""

    def forward(self, weight: Tensor) -> Tensor:
        binary = torch.sign(weight) * weight.abs().mean(dim=1, keepdim=True)
        return weight + (binary - weight).detach()


class BinaryLinear(''',
        ),
        (
            "from torch.nn.utils import prune, weight_norm\n",
            "from torch.nn.utils import parametrize, prune, weight_norm  # noqa: F401\n",
        ),
    ),
    rewrite(
        "length taken out of the product",
        ("torch.sign(self.weight) * length.detach()", "torch.where(self.weight > 0, length, -length).detach()"),
    ),
    rewrite(
        "PReLU by its function",
        ("self.prelu(self.hidden(x.flatten(1)))", "functional.prelu(self.hidden(x.flatten(1)), self.prelu.weight)"),
    ),
    rewrite(
        "PReLU by two ReLUs",
        (
            "self.prelu(self.hidden(x.flatten(1)))",
            "(functional.relu(y := self.hidden(x.flatten(1))) - self.prelu.weight * functional.relu(-y))",
        ),
    ),
    rewrite(
        "hard swish by its module",
        ("functional.hardswish(self.conv2(x))", "self.act(self.conv2(x))"),
        (PARTS, "        self.act = nn.Hardswish()\n" + PARTS),
    ),
    rewrite("parts registered in reverse", (PARTS, "".join(PARTS.splitlines(keepends=True)[::-1]))),
]
