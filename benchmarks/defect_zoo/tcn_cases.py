"""Cases of the temporal network."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect(
        "convolution looks ahead",
        "masking",
        "(2 * self.dilation, 0)",
        "(self.dilation, self.dilation)",
        "layers.0.conv",
    ),
    defect(
        "convolution looks ahead only", "masking", "(2 * self.dilation, 0)", "(0, 2 * self.dilation)", "layers.0.conv"
    ),
    defect("one step ahead", "masking", "(2 * self.dilation, 0)", "(2 * self.dilation - 1, 1)", "layers.0.conv"),
    defect(
        "padding by the last value",
        "stride or padding",
        "functional.pad(x, (2 * self.dilation, 0))",
        'functional.pad(x, (2 * self.dilation, 0), mode="replicate")',
        "layers.0.conv",
    ),
    defect(
        "padding by ones",
        "stride or padding",
        "functional.pad(x, (2 * self.dilation, 0))",
        "functional.pad(x, (2 * self.dilation, 0), value=1.0)",
        "layers.0.conv",
    ),
    defect("dilation grows by one", "stride or padding", "GatedConv(8, 2**i)", "GatedConv(8, i + 1)", "layers.2.conv"),
    defect(
        "dilation the other way round",
        "stride or padding",
        "2**i) for i in range(3)",
        "2**i) for i in reversed(range(3))",
        "layers.0.conv",
    ),
    defect("gate and value change places", "activation", "value, gate =", "gate, value =", "layers.0.mix"),
    defect(
        "value without tanh",
        "activation",
        "torch.tanh(value) * torch.sigmoid(gate)",
        "value * torch.sigmoid(gate)",
        "layers.0.mix",
    ),
    defect("gate by hard sigmoid", "activation", "torch.sigmoid(gate)", "functional.hardsigmoid(gate)", "layers.0.mix"),
    defect(
        "gate and value interleaved",
        "head split",
        "self.conv(y).chunk(2, dim=1)",
        "self.conv(y).unflatten(1, (-1, 2)).unbind(dim=2)",
        "layers.0.mix",
    ),
    defect("skip's scale lost", "scale or constant", "(x + y) * 0.5**0.5, y", "x + y, y", "layers.0"),
    defect("skip's scale squared", "scale or constant", "0.5**0.5", "0.5", "layers.0"),
    defect("parts before the mix", "residual", "0.5**0.5, y", "0.5**0.5, x", "layers.0"),
    defect("last part alone", "readout", "torch.stack(parts).sum(dim=0)", "parts[-1]", "norm"),
    defect(
        "first part left out", "readout", "torch.stack(parts).sum(dim=0)", "torch.stack(parts[1:]).sum(dim=0)", "norm"
    ),
    defect("parts averaged", "readout", "torch.stack(parts).sum(dim=0)", "torch.stack(parts).mean(dim=0)", "norm"),
    defect(
        "output learnt from scratch",
        "residual",
        "x + self.scale * self.head(total)",
        "x * 0 + self.scale * self.head(total)",
        "output",
    ),
    defect("output's scale starts at zero", "initialisation", "torch.ones(())", "torch.zeros(())", "output"),
    defect("output's scale no parameter", "width or bias", "nn.Parameter(torch.ones(()))", "1.0", "output"),
    defect("output's scale frozen", "detached gradient", "x + self.scale *", "x + self.scale.detach() *", "output"),
    defect(
        "output's scale made untrainable",
        "detached gradient",
        "torch.ones(()))",
        "torch.ones(()), requires_grad=False)",
        "output",
    ),
    defect(
        "activation before the norm",
        "normalisation",
        "functional.relu(self.norm(torch.stack(parts).sum(dim=0)))",
        "self.norm(functional.relu(torch.stack(parts).sum(dim=0)))",
        "norm",
    ),
    defect(
        "running statistics per example",
        "normalisation",
        "nn.BatchNorm1d(8)",
        "nn.InstanceNorm1d(8, affine=True, track_running_stats=True)",
        "norm",
    ),
    defect(
        "parts detached",
        "detached gradient",
        "parts.append(part)",
        "parts.append(part.detach())",
        "lift",
        "layers.0",
        "layers.0.conv",
        "layers.0.mix",
        "layers.2.mix",
    ),
]

REWRITES = [
    rewrite(
        "padding inside and cut",
        ("kernel_size=3, dilation=dilation", "kernel_size=3, dilation=dilation, padding=2 * dilation"),
        (
            "y = functional.pad(x, (2 * self.dilation, 0))\n        value, gate = self.conv(y).chunk",
            "y = self.conv(x)[..., : x.shape[-1]]\n        value, gate = y.chunk",
        ),
    ),
    rewrite(
        "running sum",
        ("        parts = []\n", "        total = torch.zeros_like(y)\n"),
        ("            parts.append(part)\n", "            total = total + part\n"),
        ("torch.stack(parts).sum(dim=0)", "total"),
    ),
    rewrite(
        "library's gate",
        (
            "torch.tanh(value) * torch.sigmoid(gate)",
            "functional.glu(torch.cat([torch.tanh(value), gate], dim=1), dim=1)",
        ),
    ),
    rewrite(
        "convolution of four dimensions",
        (
            "self.mix(torch.tanh(value) * torch.sigmoid(gate))",
            (
                "functional.conv2d((torch.tanh(value) * torch.sigmoid(gate))[:, :, None], self.mix.weight[:, "
                ":, None], self.mix.bias)[:, :, 0]"
            ),
        ),
    ),
    rewrite(
        "layers in a dict",
        (
            "self.layers = nn.ModuleList(GatedConv(8, 2**i) for i in range(3))",
            'self.layers = nn.ModuleDict({f"dilated{2**i}": GatedConv(8, 2**i) for i in range(3)})',
        ),
        ("in self.layers:", "in self.layers.values():"),
    ),
]
