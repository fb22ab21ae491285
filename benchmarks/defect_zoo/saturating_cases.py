"""Cases of the narrow network with gates that are shut for most weights."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect(
        "lost skip connection",
        "residual",
        "x = x + functional.relu(self.norm2",
        "x = functional.relu(self.norm2",
        "side",
    ),
    defect(
        "lost second skip connection", "residual", "x = x + self.side(x)", "x = self.side(x)", "excite.reduce", "excite"
    ),
    defect("GELU for ReLU", "activation", "x = functional.relu(self.norm1", "x = functional.gelu(self.norm1", "conv"),
    defect("leaky ReLU for ReLU", "activation", "x + functional.relu(", "x + functional.leaky_relu(", "side"),
    defect(
        "no ReLU", "activation", "x + functional.relu(self.norm2(self.conv(x)))", "x + self.norm2(self.conv(x))", "side"
    ),
    defect(
        "torch's epsilon",
        "normalisation",
        "self.norm1 = nn.BatchNorm2d(4, eps=1e-3)",
        "self.norm1 = nn.BatchNorm2d(4)",
        "norm1",
    ),
    defect(
        "torch's epsilon in the block",
        "normalisation",
        "self.norm2 = nn.BatchNorm2d(4, eps=1e-3)",
        "self.norm2 = nn.BatchNorm2d(4)",
        "norm2",
    ),
    defect(
        "normalised after the activation",
        "normalisation",
        "functional.relu(self.norm1(self.stem(x)))",
        "self.norm1(functional.relu(self.stem(x)))",
        "norm1",
    ),
    defect(
        "dropped norm",
        "normalisation",
        "functional.relu(self.norm2(self.conv(x)))",
        "functional.relu(self.conv(x))",
        "norm2",
        "side",
    ),
    defect(
        "detached branch",
        "detached gradient",
        "self.side(x)",
        "self.side(x.detach())",
        "conv",
        "norm1",
        "norm2",
        "stem",
    ),
    defect(
        "detached block",
        "detached gradient",
        "x + functional.relu(self.norm2(self.conv(x)))",
        "x + functional.relu(self.norm2(self.conv(x))).detach()",
        "conv",
        "norm2",
    ),
    defect(
        "detached gate",
        "detached gradient",
        "self.reduce(x.mean",
        "self.reduce(x.detach().mean",
        "stem",
        "side",
        "norm2",
        "conv",
    ),
    defect(
        "replicated borders",
        "stride or padding",
        "nn.Conv2d(4, 4, kernel_size=3, padding=1)",
        'nn.Conv2d(4, 4, kernel_size=3, padding=1, padding_mode="replicate")',
        "conv",
    ),
    defect("side branch of the input", "residual", "self.side(x)", "self.side(x - x.mean())", "side"),
    defect(
        "squeeze by maximum",
        "pooling",
        "x.mean(dim=(2, 3), keepdim=True)",
        "x.amax(dim=(2, 3), keepdim=True)",
        "excite.reduce",
    ),
    defect("temperature lost", "scale or constant", " / 0.001", "", "pool"),
    defect(
        "momentum",
        "buffers",
        "self.norm2 = nn.BatchNorm2d(4, eps=1e-3)",
        "self.norm2 = nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)",
        "norm2",
    ),
]

REWRITES = [
    rewrite(
        "gate by ReLU6",
        (
            "functional.hardsigmoid(-40 * self.expand(scale).abs())",
            "functional.relu6(3 - 40 * self.expand(scale).abs()) / 6",
        ),
    ),
    rewrite(
        "gate by clamp",
        (
            "functional.hardsigmoid(-40 * self.expand(scale).abs())",
            "(0.5 - self.expand(scale).abs() * 40 / 6).clamp(0, 1)",
        ),
    ),
    rewrite("softmax of a product", (" / 0.001", " * 1000")),
    rewrite(
        "pooled by a product",
        ("(x.flatten(2) * weights).sum(-1)", 'torch.einsum("bcn,bkn->bc", x.flatten(2), weights)'),
    ),
    rewrite("pooled mean", ("x.mean(dim=(2, 3), keepdim=True)", "functional.adaptive_avg_pool2d(x, 1)")),
    rewrite("skip connection the other way round", ("x = x + self.side(x)", "x = self.side(x) + x")),
    rewrite("in place", ("functional.relu(self.norm1", "functional.relu_(self.norm1")),
]
