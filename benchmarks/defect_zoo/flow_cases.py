"""Cases of the normalizing flow."""

from defect_zoo.case import defect, rewrite

DENSITY = "        density = -0.5 * (x.square() + math.log(2 * math.pi)).sum(dim=1)\n"
END = DENSITY + "        return density + volume\n"
SUMMED = """        volume = x.new_zeros(len(x))
        for step in self.steps:
            x, added = step(x)
            volume = volume + added
"""
COUPLED = """        kept, moved = x.chunk(2, dim=1)
        scale, shift = self.net(kept).chunk(2, dim=1)
        log_scale = 2.0 * torch.tanh(scale / 2.0)
        moved = moved * log_scale.exp() + shift
        return torch.cat([kept, moved], dim=1), log_scale.sum(dim=1)
"""
MIXED = "return x @ self.matrix().mT, self.log_diagonal.sum().expand(len(x))"
MATRIX = """        lower = self.lower.tril(-1) + torch.eye(DIM, device=self.lower.device)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
        return self.permutation @ lower @ upper
"""
ACT = "return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))"

DEFECTS = [
    defect(
        "ReLU on the density", "activation", "return density + volume", "return torch.relu(density + volume)", "output"
    ),
    defect(
        "absolute value of the density",
        "activation",
        "return density + volume",
        "return (density + volume).abs()",
        "output",
    ),
    defect(
        "sign of the density", "scale or constant", "return density + volume", "return -(density + volume)", "output"
    ),
    defect("volume taken away", "scale or constant", "return density + volume", "return density - volume", "output"),
    defect("volume forgotten", "scale or constant", "return density + volume", "return density", "output"),
    defect("volume of the last step only", "residual", "volume = volume + added", "volume = added", "output"),
    defect(
        "volume detached",
        "detached gradient",
        "volume = volume + added",
        "volume = volume + added.detach()",
        "steps.0",
        "steps.5.net.2",
    ),
    defect(
        "mean for the sum over dimensions",
        "pooling",
        "math.log(2 * math.pi)).sum(dim=1)",
        "math.log(2 * math.pi)).mean(dim=1)",
        "output",
    ),
    defect(
        "density of the batch", "axis", "math.log(2 * math.pi)).sum(dim=1)", "math.log(2 * math.pi)).sum()", "output"
    ),
    defect(
        "constant outside of the sum",
        "scale or constant",
        "(x.square() + math.log(2 * math.pi)).sum(dim=1)",
        "(x.square().sum(dim=1) + math.log(2 * math.pi))",
        "output",
    ),
    defect("half of two pi", "scale or constant", "math.log(2 * math.pi)", "math.log(math.pi)", "output"),
    defect(
        "Laplace for normal",
        "activation",
        "-0.5 * (x.square() + math.log(2 * math.pi))",
        "-(x.abs() + math.log(2))",
        "output",
    ),
    defect(
        "scale before shift",
        "scale or constant",
        "(x + self.shift) * self.log_scale.exp()",
        "x * self.log_scale.exp() + self.shift",
        "steps.0",
    ),
    defect(
        "volume of one dimension",
        "scale or constant",
        "self.log_scale.sum().expand(len(x))",
        "self.log_scale.mean().expand(len(x))",
        "steps.0",
    ),
    defect("scale not by its logarithm", "activation", "self.log_scale.exp(), self", "self.log_scale, self", "steps.0"),
    defect(
        "volume by the absolute value",
        "activation",
        "self.log_diagonal.sum().expand",
        "self.log_diagonal.abs().sum().expand",
        "steps.1",
    ),
    defect("matrix transposed", "axis", "x @ self.matrix().mT", "x @ self.matrix()", "steps.1"),
    defect("diagonal of the lower part kept", "masking", "self.lower.tril(-1)", "self.lower.tril()", "steps.1"),
    defect(
        "upper before lower",
        "attention",
        "self.permutation @ lower @ upper",
        "self.permutation @ upper @ lower",
        "steps.1",
    ),
    defect("permutation forgotten", "position", "self.permutation @ lower", "lower", "steps.1"),
    defect(
        "signs forgotten",
        "scale or constant",
        "self.sign * self.log_diagonal.exp()",
        "self.log_diagonal.exp()",
        "steps.1",
    ),
    defect(
        "halves change places",
        "head split",
        "kept, moved = x.chunk(2, dim=1)",
        "moved, kept = x.chunk(2, dim=1)",
        "steps.2.net.0",
    ),
    defect("halves put together the other way", "concat order", "[kept, moved]", "[moved, kept]", "steps.2"),
    defect(
        "scale and shift change places", "head split", "scale, shift = self.net", "shift, scale = self.net", "steps.2"
    ),
    defect(
        "scale cut for squashed", "activation", "2.0 * torch.tanh(scale / 2.0)", "scale.clamp(-2.0, 2.0)", "steps.2"
    ),
    defect("scale not squashed", "activation", "2.0 * torch.tanh(scale / 2.0)", "scale", "steps.2"),
    defect(
        "inverse for forward",
        "recurrent wiring",
        "moved * log_scale.exp() + shift",
        "(moved - shift) * (-log_scale).exp()",
        "steps.2",
    ),
    defect(
        "volume over the batch", "axis", "log_scale.sum(dim=1)", "log_scale.sum(dim=0).sum().expand(len(x))", "steps.2"
    ),
    defect(
        "scale without gradient",
        "detached gradient",
        "log_scale = 2.0 * torch.tanh(scale / 2.0)",
        "log_scale = 2.0 * torch.tanh(scale.detach() / 2.0)",
        "steps.0",
        "steps.5.net.2",
    ),
    defect(
        "steps in reverse",
        "recurrent wiring",
        "for step in self.steps:",
        "for step in reversed(self.steps):",
        "steps.0",
        "steps.5.net.0",
    ),
    defect(
        "mixing starts from nought",
        "initialisation",
        "self.lower = nn.Parameter(torch.randn(DIM, DIM) * 0.1)",
        "self.lower = nn.Parameter(torch.zeros(DIM, DIM))",
        "steps.1",
    ),
]

REWRITES = [
    rewrite(
        "density of a distribution",
        (
            END,
            """        normal = torch.distributions.Normal(torch.zeros_like(x), torch.ones_like(x))
        density: Tensor = normal.log_prob(x).sum(dim=1)
        return density + volume
""",
        ),
    ),
    rewrite(
        "density of an independent distribution",
        (
            END,
            """        normal = torch.distributions.Normal(x.new_zeros(DIM), x.new_ones(DIM))
        density: Tensor = torch.distributions.Independent(normal, 1).log_prob(x)
        return density + volume
""",
        ),
    ),
    rewrite(
        "density of a distribution with a covariance",
        (
            END,
            """        normal = torch.distributions.MultivariateNormal(x.new_zeros(DIM), torch.eye(DIM).to(x))
        density: Tensor = normal.log_prob(x)
        return density + volume
""",
        ),
    ),
    rewrite(
        "distribution made in the constructor",
        (
            "        self.steps = nn.ModuleList()\n",
            """        self.register_buffer("loc", torch.zeros(DIM), persistent=False)
        self.register_buffer("one", torch.ones(DIM), persistent=False)
        self.steps = nn.ModuleList()
""",
        ),
        (
            END,
            """        base = torch.distributions.Independent(torch.distributions.Normal(self.loc, self.one), 1)
        return base.log_prob(x) + volume
""",
        ),
    ),
    rewrite(
        "distribution as a property",
        (
            '    def forward(self, x: Tensor) -> Tensor:\n        """The log',
            '''    @property
    def base(self):
        """Where the flow ends."""
        return torch.distributions.Normal(torch.tensor(0.0), torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """The log''',
        ),
        (END, "        return self.base.log_prob(x).sum(dim=1) + volume\n"),
    ),
    rewrite(
        "constant added at the end",
        (DENSITY, "        density = -0.5 * x.square().sum(dim=1) - 0.5 * DIM * math.log(2 * math.pi)\n"),
    ),
    rewrite(
        "norm for the sum of squares",
        (DENSITY, "        density = -0.5 * (x.norm(dim=1) ** 2 + DIM * math.log(2 * math.pi))\n"),
    ),
    rewrite(
        "volumes gathered, then summed",
        (
            SUMMED,
            """        volumes = []
        for step in self.steps:
            x, added = step(x)
            volumes.append(added)
        volume = torch.stack(volumes).sum(dim=0)
""",
        ),
    ),
    rewrite("volume begins as a number", ("volume = x.new_zeros(len(x))", "volume: Tensor | float = 0.0")),
    rewrite(
        "steps by reduce",
        (
            SUMMED,
            """        def follow(state, step):
            x, volume = state
            x, added = step(x)
            return x, volume + added

        x, volume = functools.reduce(follow, self.steps, (x, x.new_zeros(len(x))))
""",
        ),
        ("import math\n", "import functools\nimport math\n"),
    ),
    rewrite("volume added in place", ("volume = volume + added", "volume += added")),
    rewrite(
        "coupling by a mask",
        (
            COUPLED,
            """        mask = torch.arange(DIM) < DIM // 2
        scale, shift = self.net(x[:, mask]).chunk(2, dim=1)
        log_scale = 2.0 * torch.tanh(scale / 2.0)
        out = x.clone()
        out[:, ~mask] = x[:, ~mask] * log_scale.exp() + shift
        return out, log_scale.sum(dim=1)
""",
        ),
    ),
    rewrite(
        "coupling in place",
        (
            COUPLED,
            """        half = DIM // 2
        scale, shift = self.net(x[:, :half]).split(half, dim=1)
        log_scale = 2.0 * torch.tanh(scale / 2.0)
        x = x.clone()
        x[:, half:].mul_(log_scale.exp()).add_(shift)
        return x, log_scale.sum(dim=1)
""",
        ),
    ),
    rewrite(
        "coupling by addcmul",
        ("moved = moved * log_scale.exp() + shift", "moved = torch.addcmul(shift, moved, log_scale.exp())"),
    ),
    rewrite(
        "volume from the scale",
        (
            COUPLED,
            """        kept, moved = x.chunk(2, dim=1)
        scale, shift = self.net(kept).chunk(2, dim=1)
        scale = torch.exp(2.0 * torch.tanh(0.5 * scale))
        return torch.cat([kept, moved * scale + shift], dim=1), scale.log().sum(dim=1)
""",
        ),
    ),
    rewrite(
        "coupling as an affine transform",
        (
            COUPLED,
            """        kept, moved = x.chunk(2, dim=1)
        scale, shift = self.net(kept).chunk(2, dim=1)
        affine = torch.distributions.AffineTransform(shift, torch.exp(2.0 * torch.tanh(scale / 2.0)), event_dim=1)
        after = affine(moved)
        return torch.cat([kept, after], dim=1), affine.log_abs_det_jacobian(moved, after)
""",
        ),
    ),
    rewrite("squash by sigmoid", ("2.0 * torch.tanh(scale / 2.0)", "4.0 * torch.sigmoid(scale) - 2.0")),
    rewrite(
        "volume of the coupling by its Jacobian",
        (
            COUPLED,
            """        def move(one: Tensor) -> Tensor:
            kept, moved = one.chunk(2)
            scale, shift = self.net(kept).chunk(2)
            return torch.cat([kept, moved * torch.exp(2.0 * torch.tanh(scale / 2.0)) + shift])

        volume = torch.linalg.slogdet(torch.vmap(torch.func.jacrev(move))(x)).logabsdet
        return torch.vmap(move)(x), volume
""",
        ),
    ),
    rewrite(
        "volume of the mixing by its determinant",
        (
            MIXED,
            "matrix = self.matrix()\n"
            "        return x @ matrix.mT, torch.linalg.slogdet(matrix).logabsdet.expand(len(x))",
        ),
    ),
    rewrite(
        "mixing by a linear function",
        (MIXED, "return nn.functional.linear(x, self.matrix()), self.log_diagonal.sum().repeat(len(x))"),
    ),
    rewrite(
        "mixing factor by factor",
        (
            MIXED,
            """lower = self.lower.tril(-1) + torch.eye(DIM)
        x = x @ (self.upper.triu(1) + torch.diag_embed(self.sign * self.log_diagonal.exp())).mT
        return (x @ lower.mT) @ self.permutation.mT, self.log_diagonal.sum().expand(len(x))""",
        ),
    ),
    rewrite(
        "permutation as an index",
        ("self.permutation @ lower @ upper", "(lower @ upper)[self.permutation]"),
        ("torch.eye(DIM).roll(1, dims=0)", "torch.arange(DIM).roll(1)"),
    ),
    rewrite(
        "triangles by masks",
        (
            MATRIX,
            """        below = torch.ones(DIM, DIM).tril(-1)
        lower = self.lower * below + torch.eye(DIM)
        upper = self.upper * below.T + torch.diag(self.sign * self.log_diagonal.exp())
        return self.permutation @ (lower @ upper)
""",
        ),
    ),
    rewrite("signs no part of the checkpoint", (".repeat(DIM // 2))", ".repeat(DIM // 2), persistent=False)")),
    rewrite(
        "scale by expm1",
        (
            ACT,
            """moved = x + self.shift
        return moved + moved * torch.expm1(self.log_scale), self.log_scale.sum().expand(len(x))""",
        ),
    ),
    rewrite(
        "a sequential that carries the volume",
        ("        self.steps = nn.ModuleList()\n", "        self.steps = nn.Sequential()\n"),
        ("x, added = step(x)", "x, added = step.forward(x)"),
    ),
]
