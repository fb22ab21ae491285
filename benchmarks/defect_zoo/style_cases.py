"""Cases of the generator by style."""

from defect_zoo.case import Edit, defect, rewrite

MEAN = '        self.register_buffer("mean", torch.zeros(STYLE))\n'
MOVED = "            self.mean.copy_(torch.lerp(w.detach().mean(dim=0), self.mean, 0.995))\n"
END = """        if self.training:
            self.mean.copy_(torch.lerp(w.detach().mean(dim=0), self.mean, 0.995))
            return w
        return torch.lerp(self.mean, w, 0.7)
"""
LINEAR = "return functional.linear(x, self.weight * self.gain, self.bias * self.rate)"
WEIGHT = "weight = self.weight * self.gain * self.style(w)[:, None, :, None, None]  # (B, after, before, K, K)"
DEMODULATE = "weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)"
GROUPED = """        grouped = x.flatten(0, 1).unsqueeze(0)  # (1, B * before, H, W)
        grouped = functional.conv2d(grouped, weight.flatten(0, 1), padding=self.weight.shape[-1] // 2, groups=len(x))
        return grouped.view(len(x), -1, *x.shape[2:])
"""
BODY = f"""        {WEIGHT}
        if self.demodulate:
            {DEMODULATE}
{GROUPED}"""
ACTIVATION = "return functional.leaky_relu(x + self.bias[:, None, None], 0.2) * math.sqrt(2)"
BLUR = """        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("blur", torch.outer(taps, taps) / taps.sum() ** 2)
"""
KERNEL = """        kernel = (4 * self.blur).expand(channels, 1, 4, 4)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
"""
NORMED = "z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)"
PARTS = """        self.layer1 = Layer(4)
        self.layer2 = Layer(8)
        self.rgb1 = Modulated(WIDTH, 3, 1, demodulate=False)
        self.rgb2 = Modulated(WIDTH, 3, 1, demodulate=False)
"""

DEFECTS = [
    defect(
        "mean updated in eval mode, too",
        "buffers",
        END,
        """        self.mean.copy_(torch.lerp(w.detach().mean(dim=0), self.mean, 0.995))
        return w if self.training else torch.lerp(self.mean, w, 0.7)
""",
        "mapping",
    ),
    defect("mean never updated", "buffers", MOVED, "", "mapping"),
    defect("mean follows at another pace", "buffers", "self.mean, 0.995)", "self.mean, 0.95)", "mapping"),
    defect(
        "mean and style exchanged in the update",
        "buffers",
        "torch.lerp(w.detach().mean(dim=0), self.mean, 0.995)",
        "torch.lerp(self.mean, w.detach().mean(dim=0), 0.995)",
        "mapping",
    ),
    defect(
        "drawn to the mean in train mode, too",
        "train or eval mode",
        "            return w\n",
        "            return torch.lerp(self.mean.clone(), w, 0.7)\n",
        "mapping",
    ),
    defect(
        "not drawn to the mean", "train or eval mode", "return torch.lerp(self.mean, w, 0.7)", "return w", "mapping"
    ),
    defect(
        "drawn too far",
        "scale or constant",
        "torch.lerp(self.mean, w, 0.7)",
        "torch.lerp(w, self.mean, 0.7)",
        "mapping",
    ),
    defect("vector not normalised", "normalisation", f"        {NORMED}\n", "", "mapping.fc1"),
    defect(
        "vector normalised by its length",
        "normalisation",
        "z.square().mean(dim=1",
        "z.square().sum(dim=1",
        "mapping.fc1",
    ),
    defect("normalised over the batch", "axis", "z.square().mean(dim=1", "z.square().mean(dim=0", "mapping.fc1"),
    defect(
        "gain left out",
        "scale or constant",
        "self.weight * self.gain, self.bias",
        "self.weight, self.bias",
        "mapping.fc1",
    ),
    defect(
        "gain by what goes out",
        "scale or constant",
        "rate / math.sqrt(before)",
        "rate / math.sqrt(after)",
        "mapping.fc1",
    ),
    defect("rate of the bias left out", "scale or constant", "self.bias * self.rate", "self.bias", "mapping.fc1"),
    defect(
        "slow rate lost",
        "scale or constant",
        "self.fc2 = Scaled(STYLE, STYLE, rate=0.01)",
        "self.fc2 = Scaled(STYLE, STYLE)",
        "mapping.fc2",
    ),
    defect("styles start from nought", "initialisation", "start=1.0", "start=0.0", "layer1.conv.style"),
    defect("never demodulated", "normalisation", "if self.demodulate:", "if False:", "layer1.conv"),
    defect(
        "colours demodulated",
        "normalisation",
        "self.rgb1 = Modulated(WIDTH, 3, 1, demodulate=False)",
        "self.rgb1 = Modulated(WIDTH, 3, 1)",
        "rgb1",
    ),
    defect(
        "demodulated over what goes out",
        "axis",
        "sum(dim=(2, 3, 4), keepdim=True)",
        "sum(dim=(1, 3, 4), keepdim=True)",
        "layer1.conv",
    ),
    defect(
        "demodulated by the mean",
        "pooling",
        "weight.square().sum(dim=(2, 3, 4)",
        "weight.square().mean(dim=(2, 3, 4)",
        "layer1.conv",
    ),
    defect(
        "style of the first example",
        "axis",
        "self.style(w)[:, None, :, None, None]",
        "self.style(w)[:1, None, :, None, None].expand(len(x), -1, -1, -1, -1)",
        "layer1.conv",
    ),
    defect(
        "noise's strength squared",
        "scale or constant",
        "self.noise * self.strength",
        "self.noise * self.strength**2",
        "layer1",
    ),
    defect(
        "noise drawn anew",
        "train or eval mode",
        "self.noise * self.strength",
        "torch.randn_like(self.noise) * self.strength",
        "layer1",
    ),
    defect(
        "noise behind the activation",
        "residual",
        ACTIVATION,
        ACTIVATION + " + self.noise * self.strength",
        "layer1",
        also=(Edit("self.conv(x, w) + self.noise * self.strength", "self.conv(x, w)"),),
    ),
    defect("gain of the activation lost", "scale or constant", ", 0.2) * math.sqrt(2)", ", 0.2)", "layer1"),
    defect(
        "bias behind the activation",
        "activation",
        "functional.leaky_relu(x + self.bias[:, None, None], 0.2)",
        "(functional.leaky_relu(x, 0.2) + self.bias[:, None, None])",
        "layer1",
    ),
    defect("filter of other taps", "resampling", "[1.0, 3.0, 3.0, 1.0]", "[1.0, 2.0, 2.0, 1.0]", "layer2.conv"),
    defect(
        "filter not normalised",
        "resampling",
        "torch.outer(taps, taps) / taps.sum() ** 2",
        "torch.outer(taps, taps) / taps.sum()",
        "layer2.conv",
    ),
    defect("filter without its gain", "resampling", "(4 * self.blur)", "self.blur", "layer2.conv"),
    defect(
        "filter learnt",
        "width or bias",
        'self.register_buffer("blur", torch.outer(taps, taps) / taps.sum() ** 2)',
        "self.blur = nn.Parameter(torch.outer(taps, taps) / taps.sum() ** 2)",
        "layer2.conv",
    ),
    defect(
        "image of the first size forgotten",
        "residual",
        "self.enlarge(image) + self.rgb2(x, w)",
        "self.rgb2(x, w) + 0 * self.enlarge(image)",
        "output",
    ),
    defect(
        "second layer for both",
        "sharing",
        "image = self.rgb1(x, w)",
        "image = self.rgb2(x, w)",
        "rgb1.style",
        "rgb2.style",
    ),
    defect(
        "style detached for colours",
        "detached gradient",
        "self.rgb2(x, w)",
        "self.rgb2(x, w.detach())",
        "mapping.fc1",
        "mapping.fc2",
    ),
    defect("constant detached", "detached gradient", "self.constant.expand", "self.constant.detach().expand", "output"),
    defect(
        "demodulation detached",
        "detached gradient",
        "torch.rsqrt(weight.square()",
        "torch.rsqrt(weight.detach().square()",
        "mapping.fc1",
        "layer2.conv",
        "layer2.conv.style",
    ),
]

REWRITES = [
    rewrite(
        "activations scaled for weights",
        (
            BODY,
            """        style = self.style(w)
        weight = self.weight * self.gain
        y = functional.conv2d(x * style[:, :, None, None], weight, padding=self.weight.shape[-1] // 2)
        if self.demodulate:
            y = y * torch.rsqrt(style.square() @ weight.square().sum(dim=(2, 3)).T + 1e-8)[:, :, None, None]
        return y
""",
        ),
    ),
    rewrite(
        "example by example",
        (
            GROUPED,
            """        padding = self.weight.shape[-1] // 2
        return torch.cat([functional.conv2d(x[[i]], weight[i], padding=padding) for i in range(len(x))])
""",
        ),
    ),
    rewrite(
        "examples by vmap",
        (
            GROUPED,
            """        padding = self.weight.shape[-1] // 2
        return torch.vmap(lambda one, own: functional.conv2d(one[None], own, padding=padding)[0])(x, weight)
""",
        ),
    ),
    rewrite(
        "pixels unfolded",
        (
            GROUPED,
            """        size = self.weight.shape[-1]
        columns = functional.unfold(x, size, padding=size // 2)  # (B, before * K * K, H * W)
        return (weight.flatten(2) @ columns).unflatten(2, x.shape[2:])
""",
        ),
    ),
    rewrite(
        "demodulated by normalize",
        (DEMODULATE, "weight = weight / (weight.flatten(2).square().sum(dim=2) + 1e-8).sqrt()[:, :, None, None, None]"),
    ),
    rewrite(
        "modulated by einsum",
        (WEIGHT, 'weight = torch.einsum("oikl,bi->boikl", self.weight * self.gain, self.style(w))'),
    ),
    rewrite(
        "mean replaced for written",
        (MOVED, "            self.mean = torch.lerp(w.detach().mean(dim=0), self.mean, 0.995)\n"),
    ),
    rewrite(
        "mean moved in place under no_grad",
        (
            MOVED,
            """            with torch.no_grad():
                self.mean.mul_(0.995).add_(w.mean(dim=0), alpha=0.005)
""",
        ),
    ),
    rewrite(
        "mean moved through data",
        (MOVED, "            self.mean.data = 0.995 * self.mean.data + 0.005 * w.data.mean(dim=0)\n"),
    ),
    rewrite("mean moved by lerp in place", (MOVED, "            self.mean.lerp_(w.detach().mean(dim=0), 0.005)\n")),
    rewrite(
        "mean moved by a hook",
        (END, "        return w if self.training else torch.lerp(self.mean, w, 0.7)\n"),
        (
            MEAN,
            MEAN
            + '''        self.register_forward_hook(self.move)

    @torch.no_grad()
    def move(self, _module: nn.Module, _args: object, w: Tensor) -> None:
        """Let the mean follow."""
        if self.training:
            self.mean.copy_(torch.lerp(w.mean(dim=0), self.mean, 0.995))
''',
        ),
    ),
    rewrite("drawn by a sum", ("torch.lerp(self.mean, w, 0.7)", "self.mean + 0.7 * (w - self.mean)")),
    rewrite(
        "normalised by its norm", (NORMED, "z = z / (z.norm(dim=1, keepdim=True) ** 2 / z.shape[1] + 1e-8).sqrt()")
    ),
    rewrite(
        "scaled after the product",
        (LINEAR, "return torch.addmm(self.bias * self.rate, x, self.weight.t(), alpha=self.gain)"),
    ),
    rewrite(
        "scale as a buffer",
        (
            "        self.rate = rate\n",
            '        self.register_buffer("scale", torch.tensor(self.gain), persistent=False)\n'
            "        self.rate = rate\n",
        ),
        ("self.weight * self.gain, self.bias", "self.weight * self.scale, self.bias"),
    ),
    rewrite(
        "scale by a parametrization",
        (LINEAR, "return functional.linear(x, self.weight, self.bias * self.rate)"),
        (
            "        self.rate = rate\n",
            '        self.rate = rate\n        parametrize.register_parametrization(self, "weight", Gain(self.gain))\n',
        ),
        (
            "class Scaled(",
            '''class Gain(nn.Module):
    """Scales a weight when it is used."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.gain


class Scaled(''',
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.nn.utils import parametrize\n",
        ),
    ),
    rewrite(
        "scale by a hook before",
        (LINEAR, "return functional.linear(x, self.now, self.bias * self.rate)"),
        ("        self.rate = rate\n", "        self.rate = rate\n        self.register_forward_pre_hook(scale)\n"),
        (
            "class Scaled(",
            '''def scale(module: nn.Module, _args: object) -> None:
    """Scale a weight before it is used, as the first weight norms did."""
    module.now = module.weight * module.gain


class Scaled(''',
        ),
    ),
    rewrite("noise with all its axes", ("torch.randn(size, size))", "torch.randn(1, 1, size, size))")),
    rewrite(
        "noise added by addcmul",
        ("self.conv(x, w) + self.noise * self.strength", "torch.addcmul(self.conv(x, w), self.noise, self.strength)"),
    ),
    rewrite(
        "noise and bias added together",
        ("x = self.conv(x, w) + self.noise * self.strength", "x = self.conv(x, w)"),
        ("x + self.bias[:, None, None]", "x + (self.noise * self.strength + self.bias[:, None, None])"),
    ),
    rewrite("strength as a vector of one", ("nn.Parameter(torch.zeros(()))", "nn.Parameter(torch.zeros(1))")),
    rewrite(
        "activation by where",
        (
            ACTIVATION,
            """x = x + self.bias[:, None, None]
        return math.sqrt(2) * torch.where(x >= 0, x, 0.2 * x)""",
        ),
    ),
    rewrite(
        "filter made in the forward",
        (BLUR, ""),
        (
            KERNEL,
            """        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 4
        kernel = torch.outer(taps, taps).repeat(channels, 1, 1, 1)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
""",
        ),
    ),
    rewrite(
        "filter as a frozen layer",
        (
            BLUR,
            BLUR.replace(
                'self.register_buffer("blur", torch.outer(taps, taps) / taps.sum() ** 2)',
                """self.blurs = nn.ModuleDict()
        for channels in (3, WIDTH):
            layer = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
            layer.weight.data.copy_(4 * torch.outer(taps, taps) / taps.sum() ** 2)
            self.blurs[str(channels)] = layer.requires_grad_(False)""",
            ),
        ),
        ("        channels = x.shape[1]\n" + KERNEL, "        return self.blurs[str(x.shape[1])](x)\n"),
    ),
    rewrite(
        "filter as a frozen parameter",
        (
            'self.register_buffer("blur", torch.outer(taps, taps) / taps.sum() ** 2)',
            "self.blur = nn.Parameter(torch.outer(taps, taps) / taps.sum() ** 2, requires_grad=False)",
        ),
    ),
    rewrite(
        "filter in two passes",
        (
            KERNEL,
            """        taps = (2 * self.blur.sum(dim=0)).expand(channels, 1, 1, 4)
        x = functional.conv_transpose2d(x, taps, stride=(1, 2), padding=(0, 1), groups=channels)
        return functional.conv_transpose2d(x, taps.mT, stride=(2, 1), padding=(1, 0), groups=channels)
""",
        ),
    ),
    rewrite(
        "zeros put in, then filtered",
        (
            KERNEL,
            """        wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        wide[:, :, ::2, ::2] = x
        kernel = (4 * self.blur).flip(0, 1).expand(channels, 1, 4, 4)
        return functional.conv2d(functional.pad(wide, (2, 1, 2, 1)), kernel, groups=channels)
""",
        ),
    ),
    rewrite(
        "constant with a batch axis",
        ("nn.Parameter(torch.randn(WIDTH, 4, 4))", "nn.Parameter(torch.randn(1, WIDTH, 4, 4))"),
    ),
    rewrite(
        "constant repeated",
        ("self.constant.expand(len(z), -1, -1, -1)", "self.constant.unsqueeze(0).repeat(len(z), 1, 1, 1)"),
    ),
    rewrite(
        "styles of all layers by one list",
        ("x = self.layer1(", "styles = w[:, None].repeat(1, 4, 1)\n        x = self.layer1("),
        ("-1, -1, -1), w)", "-1, -1, -1), styles[:, 0])"),
        ("self.rgb1(x, w)", "self.rgb1(x, styles[:, 1])"),
        ("self.enlarge(x), w)", "self.enlarge(x), styles[:, 2])"),
        ("self.rgb2(x, w)", "self.rgb2(x, styles[:, 3])"),
    ),
    rewrite("parts registered in reverse", (PARTS, "".join(PARTS.splitlines(keepends=True)[::-1]))),
]
