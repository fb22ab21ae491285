"""Cases of the critic under hooks."""

from defect_zoo.case import Edit, defect, rewrite

IMPORT = "from torch.nn.utils import prune, spectral_norm, weight_norm\n"
KEEP = "        self.conv1.register_forward_hook(self._keep)\n"
ACTIVATE = "        self.conv2.register_forward_hook(self._activate)\n"

DEFECTS = [
    defect("hook that activates never registered", "activation", ACTIVATE, "", "mixer.query", "conv2"),
    defect("hook that activates registered twice", "activation", ACTIVATE, ACTIVATE * 2, "conv2"),
    defect(
        "hook that activates on the wrong layer", "activation", ACTIVATE, ACTIVATE.replace("conv2", "conv1"), "conv1"
    ),
    defect(
        "hook without its result",
        "activation",
        "        return functional.leaky_relu(output, 0.2)\n",
        "        functional.leaky_relu(output, 0.2)\n        return output\n",
        "conv2",
    ),
    defect(
        "another slope in the hook",
        "activation",
        "return functional.leaky_relu(output, 0.2)",
        "return functional.leaky_relu(output)",
        "conv2",
    ),
    defect("hook keeps the second layer", "readout", KEEP, KEEP.replace("conv1", "conv2"), "output"),
    defect("kept features never cleared", "readout", "        self.features.clear()\n", "", "output"),
    defect(
        "kept features detached",
        "detached gradient",
        "self.features.append(output.mean(dim=(2, 3)))",
        "self.features.append(output.detach().mean(dim=(2, 3)))",
        "conv1",
    ),
    defect("maximum kept for the mean", "pooling", "output.mean(dim=(2, 3)))", "output.amax(dim=(2, 3)))", "output"),
    defect(
        "spectral norm lost",
        "normalisation",
        "spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1))",
        "nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1)",
        "conv2",
    ),
    defect(
        "five power iterations",
        "normalisation",
        "spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1))",
        "spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1), n_power_iterations=5)",
        "conv2",
    ),
    defect(
        "spectral norm over another axis",
        "axis",
        "spectral_norm(nn.Conv2d(3, 8, kernel_size=3, padding=1))",
        "spectral_norm(nn.Conv2d(3, 8, kernel_size=3, padding=1), dim=1)",
        "conv1",
    ),
    defect(
        "weight norm over the whole weight",
        "normalisation",
        "self.value = weight_norm(nn.Conv1d(width, width, kernel_size=1))",
        "self.value = weight_norm(nn.Conv1d(width, width, kernel_size=1), dim=None)",
        "mixer.value",
    ),
    defect(
        "weight norm lost",
        "normalisation",
        "self.value = weight_norm(nn.Conv1d(width, width, kernel_size=1))",
        "self.value = nn.Conv1d(width, width, kernel_size=1)",
        "mixer.value",
    ),
    defect(
        "weight norm of the first weights for ever",
        "normalisation",
        "        self.gamma = nn",
        "        remove_weight_norm(self.value)\n        self.gamma = nn",
        "mixer.value",
        also=(Edit("import prune, spectral_norm", "import prune, remove_weight_norm, spectral_norm"),),
    ),
    defect("pruned otherwise", "masking", "mask[::2, ::3] = 0", "mask[1::2, ::3] = 0", "hidden"),
    defect(
        "pruning lost",
        "masking",
        '        prune.custom_from_mask(self.hidden, "weight", mask)  # type: ignore[no-untyped-call]\n',
        "",
        "hidden",
    ),
    defect("attention the other way round", "attention", "@ weights.transpose(1, 2))", "@ weights)", "mixer"),
    defect("softmax over queries", "axis", ".softmax(dim=-1)", ".softmax(dim=1)", "mixer"),
    defect(
        "gate starts open", "initialisation", "nn.Parameter(torch.zeros(1))", "nn.Parameter(torch.ones(1))", "mixer"
    ),
    defect("gate lost", "residual", "x + self.gamma * (", "x + (", "mixer"),
    defect(
        "added by the caller",
        "scale or constant",
        "    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:\n",
        "    def __call__(self, *args: Tensor) -> tuple[Tensor, Tensor]:\n"
        '        """The scores, shifted."""\n'
        "        scores, features = super().__call__(*args)\n"
        "        return scores + 3, features\n\n"
        "    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:\n",
        "output",
    ),
    defect(
        "forward replaced on one layer",
        "scale or constant",
        "        self.features: list",
        "        plain = self.score.forward\n"
        "        self.score.forward = lambda x: 0.5 * plain(x)  # type: ignore[method-assign]\n"
        "        self.features: list",
        "score",
    ),
]

REWRITES = [
    rewrite(
        "weight norm by parametrization",
        (
            IMPORT,
            "from torch.nn.utils import prune, spectral_norm\n"
            "from torch.nn.utils.parametrizations import weight_norm\n",
        ),
    ),
    rewrite(
        "spectral norm by parametrization",
        (
            IMPORT,
            "from torch.nn.utils import prune, weight_norm\n"
            "from torch.nn.utils.parametrizations import spectral_norm\n",
        ),
    ),
    rewrite(
        "activation in the forward",
        (ACTIVATE, ""),
        (
            "self.mixer(self.conv2(x).flatten(2))",
            "self.mixer(self._activate(self.conv2, (x,), self.conv2(x)).flatten(2))",
        ),
    ),
    rewrite(
        "activation by a lambda",
        (
            ACTIVATE,
            "        self.conv2.register_forward_hook(lambda _, __, output: functional.leaky_relu(output, 0.2))\n",
        ),
    ),
    rewrite(
        "activation in place in the hook",
        (
            "return functional.leaky_relu(output, 0.2)",
            "return functional.leaky_relu(output, 0.2, inplace=True)",
        ),
    ),
    rewrite(
        "activation before the mixer by a pre-hook",
        (
            ACTIVATE,
            "        self.mixer.register_forward_pre_hook(lambda _, args: (functional.leaky_relu(args[0], 0.2),))\n",
        ),
    ),
    rewrite("hooks in another order", (KEEP + ACTIVATE, ACTIVATE + KEEP)),
    rewrite(
        "features kept by the forward",
        (KEEP, ""),
        (
            "        x = functional.leaky_relu(self.conv1(x), 0.2)\n",
            "        first = self.conv1(x)\n        self._keep(self.conv1, (x,), first)\n"
            "        x = functional.leaky_relu(first, 0.2)\n",
        ),
    ),
    rewrite(
        "features kept in a map by a closure",
        (
            KEEP,
            "        kept = {}\n\n"
            "        def keep(_module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> None:\n"
            '            kept["conv1"] = output.mean(dim=(2, 3))\n\n'
            "        self.conv1.register_forward_hook(keep)\n        self.kept = kept\n",
        ),
        ("self.features[0]", 'self.kept["conv1"]'),
    ),
    rewrite(
        "features kept on the layer",
        (
            "self.features.append(output.mean(dim=(2, 3)))",
            "_module.pooled = output.mean(dim=(2, 3))",
        ),
        ("        self.features.clear()\n", ""),
        ("self.features[0]", "self.conv1.pooled"),
    ),
    rewrite("features replaced, not cleared", ("self.features.clear()", "self.features = []")),
    rewrite("map not kept", ("        self.attention = weights\n", "")),
    rewrite("map kept detached", ("self.attention = weights", "self.attention = weights.detach()")),
    rewrite(
        "map kept in a list for every call",
        (
            "self.attention: Tensor | None = None",
            "self.maps: list[Tensor] = []",
        ),
        ("self.attention = weights", "self.maps[:] = [weights.detach().clone()]"),
    ),
    rewrite(
        "pruned by hand",
        (
            '        prune.custom_from_mask(self.hidden, "weight", mask)  # type: ignore[no-untyped-call]\n',
            '        self.register_buffer("mask", mask)\n',
        ),
        (
            "self.hidden(x.mean(dim=2))",
            "functional.linear(x.mean(dim=2), self.hidden.weight * self.mask, self.hidden.bias)",
        ),
    ),
    rewrite(
        "pruned in a parametrization",
        (
            '        prune.custom_from_mask(self.hidden, "weight", mask)  # type: ignore[no-untyped-call]\n',
            '        parametrize.register_parametrization(self.hidden, "weight", Masked(mask))\n',
        ),
        (IMPORT, "from torch.nn.utils import parametrize, prune, spectral_norm, weight_norm\n"),
        (
            "class Mixer",
            'class Masked(nn.Module):\n    """A weight with holes."""\n\n'
            "    def __init__(self, mask: Tensor) -> None:\n"
            '        super().__init__()\n        self.register_buffer("mask", mask)\n\n'
            "    def forward(self, weight: Tensor) -> Tensor:\n"
            '        """The same shape."""\n        return weight * self.mask\n\n\nclass Mixer',
        ),
    ),
    rewrite(
        "registration in reverse",
        (
            "        self.conv1 = spectral_norm(nn.Conv2d(3, 8, kernel_size=3, padding=1))\n"
            "        self.conv2 = spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1))\n",
            "        self.conv2 = spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1))\n"
            "        self.conv1 = spectral_norm(nn.Conv2d(3, 8, kernel_size=3, padding=1))\n",
        ),
    ),
    rewrite(
        "call overridden, and nothing added",
        (
            "    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:\n",
            "    def __call__(self, *args: Tensor) -> tuple[Tensor, Tensor]:\n"
            '        """As ever."""\n'
            "        scores, features = super().__call__(*args)\n"
            "        return scores, features\n\n"
            "    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:\n",
        ),
    ),
    rewrite(
        "tanh in an instance's own forward",
        (
            "        self.features: list",
            "        plain = self.hidden.forward\n"
            "        self.hidden.forward = lambda x: torch.tanh(plain(x))\n"
            "        self.features: list",
        ),
        ("torch.tanh(self.hidden(x.mean(dim=2)))", "self.hidden(x.mean(dim=2))"),
    ),
]
