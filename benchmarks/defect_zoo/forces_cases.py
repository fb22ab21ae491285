"""Cases of the molecular potential."""

from defect_zoo.case import Edit, defect, rewrite

GRADIENT = "(gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)\n"
FIRST = "interactions.0.filter1"
UPDATE = "interactions.0.update1"

DEFECTS = [
    defect("forces of the wrong sign", "scale or constant", '"forces": -gradient', '"forces": gradient', "output"),
    defect(
        "forces without a graph in training",
        "detached gradient",
        "create_graph=self.training",
        "create_graph=False, retain_graph=True",
        "atoms",
        "interactions.0.filter1",
        "interactions.0.filter2",
        "interactions.0.gather",
        "readout2",
        "readout1",
        "interactions.1.update2",
    ),
    defect(
        "forces detached",
        "detached gradient",
        '"forces": -gradient',
        '"forces": -gradient.detach()',
        "atoms",
        "interactions.0.filter1",
        "interactions.0.filter2",
        "interactions.0.gather",
        "readout2",
        "readout1",
        "interactions.1.update2",
    ),
    defect("forces of the mean energy", "scale or constant", "grad(energy.sum()", "grad(energy.mean()", "output"),
    defect("forces halved", "scale or constant", '"forces": -gradient', '"forces": -0.5 * gradient', "output"),
    defect(
        "energy detached",
        "detached gradient",
        '{"energy": energy,',
        '{"energy": energy.detach(),',
        "atoms",
        "interactions.0.filter1",
        "interactions.0.filter2",
        "interactions.0.gather",
        "readout2",
        "readout1",
    ),
    defect(
        "distances without gradient",
        "detached gradient",
        "self.smearing(distance), cutoff * pairs",
        "self.smearing(distance.detach()), cutoff * pairs",
        "output",
    ),
    defect("cutoff lost", "masking", " * (distance < CUTOFF)", "", "interactions.0.update1"),
    defect(
        "cutoff not smooth",
        "scale or constant",
        "0.5 * (torch.cos(distance * math.pi / CUTOFF) + 1.0) * (distance < CUTOFF)",
        "(distance < CUTOFF).to(distance)",
        UPDATE,
    ),
    defect(
        "cutoff of half the width",
        "scale or constant",
        "distance * math.pi / CUTOFF",
        "distance * 2 * math.pi / CUTOFF",
        UPDATE,
    ),
    defect(
        "atoms are their own neighbours",
        "masking",
        " & ~torch.eye(5, dtype=torch.bool, device=numbers.device)",
        "",
        UPDATE,
    ),
    defect("padding atoms as neighbours", "masking", "is_atom[:, None] & is_atom[:, :, None] & ~", "~", UPDATE),
    defect("padding atoms' energies", "masking", "(energies * is_atom).sum(dim=1)", "energies.sum(dim=1)", "output"),
    defect(
        "mean of the atoms", "readout", "(energies * is_atom).sum(dim=1)", "(energies * is_atom).mean(dim=1)", "output"
    ),
    defect(
        "shift before scale",
        "scale or constant",
        "* self.scale + self.shift",
        "+ self.shift) * self.scale",
        "output",
        also=(Edit("energies = self.readout2", "energies = (self.readout2"),),
    ),
    defect("softplus not shifted", "activation", " - math.log(2.0)", "", "interactions.0.filter2"),
    defect(
        "width of the Gaussians",
        "scale or constant",
        "-0.5 / (CUTOFF / (NUM_RBF - 1)) ** 2",
        "-0.5 / (CUTOFF / NUM_RBF) ** 2",
        "smearing",
    ),
    defect(
        "interaction without skip",
        "residual",
        "x = x + interaction(x, smeared, weight)",
        "x = interaction(x, smeared, weight)",
        "interactions.1.gather",
    ),
    defect(
        "one interaction twice",
        "sharing",
        "nn.ModuleList([Interaction(), Interaction()])",
        "nn.ModuleList([Interaction()] * 2)",
        "interactions.0.filter1",
        "interactions.1.filter1",
    ),
    defect(
        "filtered by the atom itself",
        "axis",
        "self.gather(x)[:, None]).sum(dim=2)",
        "self.gather(x)[:, :, None]).sum(dim=2)",
        UPDATE,
    ),
]

REWRITES = [
    rewrite(
        "gradient asked for where there is none",
        (
            "        positions.requires_grad_(True)\n"
            "        energy = self.energy(numbers, positions)\n"
            "        (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)\n",
            "        with torch.enable_grad():\n            positions.requires_grad_(True)\n"
            "            energy = self.energy(numbers, positions)\n"
            "            (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)\n",
        ),
    ),
    rewrite("graph always", ("create_graph=self.training", "create_graph=True")),
    rewrite(
        "ones for the sum",
        (
            "torch.autograd.grad(energy.sum(), positions, create_graph=self.training)",
            "torch.autograd.grad(\n            [energy], [positions], grad_outputs=[torch.ones_like(energy)],\n"
            "            create_graph=self.training, retain_graph=self.training\n        )",
        ),
    ),
    rewrite(
        "gradient taken by name",
        (GRADIENT, "gradient = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)[0]\n"),
    ),
    rewrite(
        "positions made leaves",
        (
            "        positions.requires_grad_(True)\n",
            "        if not positions.requires_grad:\n"
            "            positions = positions.detach().requires_grad_(True)\n",
        ),
    ),
    rewrite(
        "positions a view of themselves",
        (
            "        positions.requires_grad_(True)\n",
            "        positions = positions.requires_grad_(True).view_as(positions)\n",
        ),
    ),
    rewrite(
        "gradient by a displacement",
        (
            "        positions.requires_grad_(True)\n        energy = self.energy(numbers, positions)\n",
            "        displacement = torch.zeros_like(positions, requires_grad=True)\n"
            "        energy = self.energy(numbers, positions + displacement)\n",
        ),
        ("grad(energy.sum(), positions,", "grad(energy.sum(), displacement,"),
    ),
    rewrite(
        "gradient by torch.func",
        (
            "        positions.requires_grad_(True)\n        energy = self.energy(numbers, positions)\n        "
            + GRADIENT,
            "        def total(at: Tensor) -> tuple[Tensor, Tensor]:\n"
            "            energy = self.energy(numbers, at)\n            return energy.sum(), energy\n"
            "\n"
            "        gradient, energy = torch.func.grad(total, has_aux=True)(positions)\n",
        ),
    ),
    rewrite(
        "gradient by vector-Jacobian product",
        (
            "        positions.requires_grad_(True)\n        energy = self.energy(numbers, positions)\n        "
            + GRADIENT,
            "        energy, pull = torch.func.vjp(lambda at: self.energy(numbers, at), positions)\n"
            "        (gradient,) = pull(torch.ones_like(energy))\n",
        ),
    ),
    rewrite(
        "distances by norm",
        (
            "(between.square().sum(dim=-1) + 1e-8).sqrt()",
            'torch.sqrt(torch.einsum("bijc,bijc->bij", between, between) + 1e-8)',
        ),
    ),
    rewrite("pairs by where", ("cutoff * pairs", "torch.where(pairs, cutoff, torch.zeros_like(cutoff))")),
    rewrite(
        "softplus with its constant written out",
        ("nn.functional.softplus(x) - math.log(2.0)", "nn.functional.softplus(x).sub(0.6931471805599453)"),
    ),
    rewrite(
        "softplus as a module of torch's",
        (
            "    return nn.functional.softplus(x) - math.log(2.0)",
            "    return nn.Softplus()(x) - nn.Softplus()(x.new_zeros(()))",
        ),
    ),
    rewrite(
        "neighbours by einsum",
        ("(filters * self.gather(x)[:, None]).sum(dim=2)", 'torch.einsum("bijd,bjd->bid", filters, self.gather(x))'),
    ),
    rewrite(
        "offsets computed on the fly",
        ('        self.register_buffer("offsets", offsets)\n', ""),
        ("        offsets = torch.linspace(0.0, CUTOFF, NUM_RBF)\n", ""),
        (
            "distance[..., None] - self.offsets)",
            "distance[..., None] - torch.linspace(0.0, CUTOFF, NUM_RBF, dtype=distance.dtype))",
        ),
    ),
    rewrite(
        "scale and shift as numbers",
        (
            '        self.register_buffer("scale", torch.tensor(2.0))\n'
            '        self.register_buffer("shift", torch.tensor(-0.5))\n',
            "        self.scale, self.shift = 2.0, -0.5\n",
        ),
    ),
    rewrite(
        "energy in a module of its own",
        ('class Potential(nn.Module):\n    """Energy and forces."""', 'class Energy(nn.Module):\n    """Energies."""'),
        (
            "    def forward(self, numbers: Tensor, positions: Tensor) -> dict[str, Tensor]:\n"
            '        """Energies (B,) and forces (B, N, 3); atoms of number 0 are padding."""\n'
            "        positions.requires_grad_(True)\n"
            "        energy = self.energy(numbers, positions)\n        "
            + GRADIENT
            + '        return {"energy": energy, "forces": -gradient}\n\n    def energy(',
            "    def forward(",
        ),
        (
            'def build() -> nn.Module:\n    """The network."""\n    return Potential()',
            'class Potential(nn.Module):\n    """Energy and forces."""\n\n'
            "    def __init__(self) -> None:\n        super().__init__()\n"
            "        self.model = Energy()\n\n"
            "    def forward(self, numbers: Tensor, positions: Tensor) -> dict[str, Tensor]:\n"
            '        """Energies (B,) and forces (B, N, 3)."""\n'
            "        positions.requires_grad_(True)\n"
            "        energy = self.model(numbers, positions)\n        "
            + GRADIENT
            + '        return {"energy": energy, "forces": -gradient}\n\n\ndef build() -> nn.Module:\n'
            '    """The network."""\n    return Potential()',
        ),
    ),
    rewrite(
        "activation as a module",
        (
            "class Interaction(",
            'class ShiftedSoftplus(nn.Module):\n    """Softplus that is 0 at 0."""\n\n'
            '    def forward(self, x: Tensor) -> Tensor:\n        """The same shape."""\n'
            "        return shifted_softplus(x)\n\n\nclass Interaction(",
        ),
        ("        self.filter1 = nn", "        self.act = ShiftedSoftplus()\n        self.filter1 = nn"),
        ("self.filter2(shifted_softplus(", "self.filter2(self.act("),
        ("self.update2(shifted_softplus(", "self.update2(self.act("),
    ),
]
