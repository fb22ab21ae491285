"""Cases of the network of three tasks."""

from defect_zoo.case import defect, rewrite

ERRORS = """        weights = [0.25, 0.5, 1.0]
        errors = [weight * functional.smooth_l1_loss(one, depths) for weight, one in zip(weights, maps, strict=True)]
"""
PENALTY = "self.penalty = gates.mean(dim=0).square().sum() * gates.shape[1]"
PENALTIES = "penalties = [stage.penalty for stage in self.stages]"
LOSS = "loss = functional.cross_entropy(logits, classes, label_smoothing=0.1)"
WEIGHED = """        precision = torch.exp(-self.log_variances)
        weighed = precision[0] * losses["classes"] + precision[1] * losses["depths"] + self.log_variances.sum() / 2
"""
RETURN = 'return {"loss": weighed + losses["balance"], "logits": logits, "maps": maps, "parts": losses}'
ENCODE = """        x, maps = image, []
        for stage, head in zip(self.stages, self.maps, strict=True):
            x = stage(x)
            maps.append(functional.interpolate(head(x), size=image.shape[2:], mode="bilinear", align_corners=False))
        return x, maps
"""
CLASS = "class MultiTask(nn.Module):"
STAGES = "        self.stages = nn.ModuleList([Stage(3, 4), Stage(4, 6), Stage(6, 8)])\n"
PARTS = STAGES + "        self.maps = nn.ModuleList([nn.Conv2d(width, 1, kernel_size=1) for width in (4, 6, 8)])\n"

DEFECTS = [
    defect(
        "balance detached",
        "detached gradient",
        'weighed + losses["balance"]',
        'weighed + losses["balance"].detach()',
        "stages.0.conv",
        "stages.2.gate",
    ),
    defect(
        "parts detached",
        "detached gradient",
        '"parts": losses}',
        '"parts": {key: value.detach() for key, value in losses.items()}}',
        "stages.0.conv",
        "classify",
    ),
    defect(
        "penalty detached",
        "detached gradient",
        PENALTY,
        PENALTY.replace("gates.mean", "gates.detach().mean"),
        "stages.0.conv",
        "stages.2.gate",
    ),
    defect(
        "penalty as a number",
        "detached gradient",
        PENALTY,
        PENALTY + "\n        self.penalty = self.penalty.new_tensor(self.penalty.tolist())",
        "stages.0.conv",
        "stages.2.gate",
    ),
    defect(
        "auxiliary maps detached",
        "detached gradient",
        "head(x), size",
        "head(x.detach()), size",
        "stages.0.conv",
        "stages.2.gate",
    ),
    defect(
        "first map's loss detached",
        "detached gradient",
        "smooth_l1_loss(one, depths) for",
        "smooth_l1_loss(one if weight > 0.25 else one.detach(), depths) for",
        "stages.0.conv",
        "maps.0",
    ),
    defect(
        "precision detached",
        "detached gradient",
        "precision = torch.exp(-self.log_variances)",
        "precision = torch.exp(-self.log_variances.detach())",
        "output",
    ),
    defect(
        "gates detached",
        "detached gradient",
        "x * (1 + gates[:, :, None, None])",
        "x * (1 + gates[:, :, None, None].detach())",
        "stages.0.conv",
        "stages.2.gate",
    ),
    defect("balance left out", "scale or constant", 'weighed + losses["balance"]', "weighed", "output"),
    defect("balance of the last stage only", "residual", PENALTIES, "penalties = [self.stages[-1].penalty]", "output"),
    defect(
        "balance's weight",
        "scale or constant",
        "0.01 * torch.stack(penalties)",
        "0.1 * torch.stack(penalties)",
        "output",
    ),
    defect(
        "balance example by example",
        "axis",
        "gates.mean(dim=0).square().sum() * gates.shape[1]",
        "gates.square().mean(dim=0).sum() * gates.shape[1]",
        "output",
    ),
    defect(
        "weights of depths in reverse",
        "scale or constant",
        "weights = [0.25, 0.5, 1.0]",
        "weights = [1.0, 0.5, 0.25]",
        "output",
    ),
    defect("maps in reverse", "concat order", "        return x, maps\n", "        return x, maps[::-1]\n", "output"),
    defect("mean of the errors", "pooling", "torch.stack(errors).sum()", "torch.stack(errors).mean()", "output"),
    defect("L1 for smooth L1", "activation", "functional.smooth_l1_loss", "functional.l1_loss", "output"),
    defect("squared for smooth L1", "activation", "functional.smooth_l1_loss", "functional.mse_loss", "output"),
    defect("label smoothing lost", "scale or constant", ", label_smoothing=0.1", "", "output"),
    defect("sum over the batch", "pooling", "label_smoothing=0.1", 'label_smoothing=0.1, reduction="sum"', "output"),
    defect(
        "softmax before the cross entropy",
        "activation",
        "cross_entropy(logits, classes",
        "cross_entropy(logits.softmax(dim=1), classes",
        "output",
    ),
    defect(
        "variance for precision",
        "scale or constant",
        "torch.exp(-self.log_variances)",
        "torch.exp(self.log_variances)",
        "output",
    ),
    defect(
        "uncertainties exchanged",
        "head split",
        'precision[0] * losses["classes"] + precision[1] *',
        'precision[1] * losses["classes"] + precision[0] *',
        "output",
    ),
    defect("logarithm left out", "scale or constant", " + self.log_variances.sum() / 2", "", "output"),
    defect(
        "uncertainties fixed",
        "width or bias",
        "self.log_variances = nn.Parameter(torch.zeros(2))",
        'self.register_buffer("log_variances", torch.zeros(2))',
        "output",
    ),
    defect(
        "uncertainties start from one",
        "initialisation",
        "nn.Parameter(torch.zeros(2))",
        "nn.Parameter(torch.ones(2))",
        "output",
    ),
    defect("mean for the maximum", "pooling", "x.amax(dim=(2, 3))", "x.mean(dim=(2, 3))", "classify"),
    defect("corners aligned", "resampling", "align_corners=False", "align_corners=True", "output"),
    defect("nearest for bilinear", "resampling", 'mode="bilinear", align_corners=False', 'mode="nearest"', "output"),
    defect(
        "ReLU on the maps",
        "activation",
        "functional.interpolate(head(x), size",
        "functional.interpolate(head(x).relu(), size",
        "output",
    ),
    defect(
        "maps from before the stage",
        "residual",
        """            x = stage(x)
            maps.append(functional.interpolate(head(x), size""",
        """            x = stage(x)
            maps.append(functional.interpolate(head(x.roll(1, dims=1)), size""",
        "maps.0",
    ),
    defect(
        "gates not added to one", "residual", "(1 + gates[:, :, None, None])", "gates[:, :, None, None]", "stages.0"
    ),
    defect("gates by sigmoid", "activation", "(2, 3))).softmax(dim=1)", "(2, 3))).sigmoid()", "stages.0"),
    defect("gates over the batch", "axis", ".softmax(dim=1)", ".softmax(dim=0)", "stages.0"),
]

REWRITES = [
    rewrite(
        "penalty returned, not kept",
        (PENALTY, "penalty = gates.mean(dim=0).square().sum() * gates.shape[1]"),
        ("return x * (1 + gates[:, :, None, None])", "return x * (1 + gates[:, :, None, None]), penalty"),
        ("            x = stage(x)\n", "            x, penalty = stage(x)\n            penalties.append(penalty)\n"),
        ("x, maps = image, []", "x, maps, penalties = image, [], []"),
        ("        return x, maps\n", "        return x, maps, penalties\n"),
        ("x, maps = self.encode(image)", "x, maps, penalties = self.encode(image)"),
        (f"        {PENALTIES}\n", ""),
        ("maps: list[Tensor], classes", "maps: list[Tensor], penalties, classes"),
        ("logits, maps, classes, depths)\n", "logits, maps, penalties, classes, depths)\n"),
    ),
    rewrite(
        "penalties kept in a list of the network",
        (PENALTY, "self.penalties.append(gates.mean(dim=0).square().sum() * gates.shape[1])"),
        (PENALTIES, "penalties = list(self.penalties)\n        self.penalties.clear()"),
        (
            STAGES,
            STAGES + "        self.penalties: list[Tensor] = []\n"
            "        for stage in self.stages:\n"
            "            stage.penalties = self.penalties\n",
        ),
    ),
    rewrite(
        "penalties by hooks",
        (PENALTY, "return x * (1 + gates[:, :, None, None]), gates"),
        ("        return x * (1 + gates[:, :, None, None])\n", ""),
        (
            STAGES,
            STAGES
            + """        self.seen: list[Tensor] = []
        for stage in self.stages:
            stage.register_forward_hook(self.see)
""",
        ),
        (
            "    def encode(",
            """    def see(self, _stage: nn.Module, _args: object, out: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.append(out[1].mean(dim=0).square().sum() * out[1].shape[1])
        return out[0]

    def encode(""",
        ),
        (PENALTIES, "penalties, self.seen = self.seen, []"),
    ),
    rewrite(
        "penalty let go after use",
        (
            PENALTIES,
            """penalties = [stage.penalty for stage in self.stages]
        for stage in self.stages:
            del stage.penalty""",
        ),
    ),
    rewrite(
        "penalty reset in a loop",
        (
            PENALTIES,
            """penalties = [stage.penalty for stage in self.stages]
        for stage in self.stages:
            stage.penalty = torch.tensor(0.0)""",
        ),
    ),
    rewrite(
        "logs kept as numbers",
        (
            f"        {RETURN}",
            f"        self.logs = {{key: float(value) for key, value in losses.items()}}\n        {RETURN}",
        ),
    ),
    rewrite(
        "logs kept as detached tensors",
        (
            f"        {RETURN}",
            f"        self.logs = {{key: value.detach() for key, value in losses.items()}}\n        {RETURN}",
        ),
    ),
    rewrite(
        "outputs in an ordered map",
        (RETURN, RETURN.replace("return {", "return OrderedDict({")[:] + ")"),
        ("import torch\n", "from collections import OrderedDict\n\nimport torch\n"),
    ),
    rewrite(
        "outputs in a map of one's own",
        (RETURN, RETURN.replace("return {", "return Outputs({") + ")"),
        (
            CLASS,
            '''class Outputs(dict):
    """A map whose values are attributes, too."""

    def __getattr__(self, name: str) -> object:
        return self[name]


'''
            + CLASS,
        ),
    ),
    rewrite(
        "outputs in a data class",
        (RETURN, 'return Outputs(weighed + losses["balance"], logits, maps, losses)'),
        (
            CLASS,
            '''@dataclass
class Outputs:
    """All that comes out."""

    loss: Tensor
    logits: Tensor
    maps: list[Tensor]
    parts: dict[str, Tensor]


'''
            + CLASS,
        ),
        ("import torch\n", "from dataclasses import dataclass\n\nimport torch\n"),
    ),
    rewrite("maps in a tuple", ('"maps": maps,', '"maps": tuple(maps),')),
    rewrite(
        "keys in another order",
        (RETURN, 'return {"parts": losses, "maps": maps, "logits": logits, "loss": weighed + losses["balance"]}'),
    ),
    rewrite(
        "stages and maps from a generator",
        (
            ENCODE,
            """        found = list(self.steps(image))
        return found[-1][0], [functional.interpolate(one, image.shape[2:], mode="bilinear") for _, one in found]

    def steps(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for stage, head in zip(self.stages, self.maps, strict=True):
            x = stage(x)
            yield x, head(x)
""",
        ),
        ("import torch\n", "from collections.abc import Iterator\n\nimport torch\n"),
    ),
    rewrite(
        "upsampled by modules",
        (
            'functional.interpolate(head(x), size=image.shape[2:], mode="bilinear", align_corners=False)',
            "self.up[len(maps)](head(x))",
        ),
        (
            STAGES,
            STAGES + "        self.up = "
            "nn.ModuleList([nn.UpsamplingBilinear2d(scale_factor=1), "
            '*(nn.Upsample(scale_factor=k, mode="bilinear") for k in (4, 8))])\n'
            "        self.up[0] = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)\n",
        ),
    ),
    rewrite(
        "cross entropy in two steps",
        (
            LOSS,
            """logs = functional.log_softmax(logits, dim=1)
        loss = 0.9 * functional.nll_loss(logs, classes) - 0.1 * logs.mean()""",
        ),
    ),
    rewrite(
        "cross entropy with soft targets",
        (
            LOSS,
            """targets = functional.one_hot(classes, 4).to(logits.dtype) * 0.9 + 0.1 / 4
        loss = functional.cross_entropy(logits, targets)""",
        ),
    ),
    rewrite(
        "loss as a module",
        (LOSS, "loss = self.criterion(logits, classes)"),
        (STAGES, "        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)\n" + STAGES),
    ),
    rewrite("smooth L1 by Huber", ("functional.smooth_l1_loss(one, depths)", "functional.huber_loss(one, depths)")),
    rewrite(
        "errors in one product",
        (
            ERRORS,
            """        weights = depths.new_tensor([0.25, 0.5, 1.0])
        stacked = functional.smooth_l1_loss(torch.stack(maps), depths.expand(3, *depths.shape), reduction="none")
        errors = list((stacked.flatten(1).mean(dim=1) * weights).unbind())
""",
        ),
    ),
    rewrite("losses added in a loop", ('"depths": torch.stack(errors).sum()', '"depths": sum(errors)')),
    rewrite(
        "losses added from nought in place",
        ('"balance": 0.01 * torch.stack(penalties).sum(),  # type: ignore[arg-type]', '"balance": total'),
        (
            '        return {\n            "classes"',
            '''        total = logits.new_zeros(())
        for one in penalties:
            total += 0.01 * one
        return {
            "classes"''',
        ),
    ),
    rewrite(
        "weights as a buffer",
        ("        weights = [0.25, 0.5, 1.0]\n", "        weights = self.weights\n"),
        (
            STAGES,
            STAGES + '        self.register_buffer("weights", torch.tensor([0.25, 0.5, 1.0]), persistent=False)\n',
        ),
    ),
    rewrite(
        "weighed by a product",
        (
            WEIGHED,
            """        both = torch.stack([losses["classes"], losses["depths"]])
        weighed = (both * torch.exp(-self.log_variances) + self.log_variances / 2).sum()
""",
        ),
    ),
    rewrite(
        "weighed by division",
        (
            WEIGHED,
            """        spread = torch.exp(self.log_variances / 2)
        weighed = losses["classes"] / spread[0] ** 2 + losses["depths"] / spread[1] ** 2 + spread.log().sum()
""",
        ),
    ),
    rewrite("heads registered first", (PARTS, "".join(PARTS.splitlines(keepends=True)[::-1]))),
    rewrite(
        "losses under a name scope",
        (RETURN, RETURN.replace('"parts": losses', '"parts": dict(sorted(losses.items()))')),
    ),
    rewrite("largest by pooling", ("x.amax(dim=(2, 3))", "functional.adaptive_max_pool2d(x, 1).flatten(1)")),
]
