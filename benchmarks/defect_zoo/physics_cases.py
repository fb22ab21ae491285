"""Cases of the physics-informed ensemble."""

from defect_zoo.case import Edit, defect, rewrite

IN_FIELD = ("output", "members.0.fc1", "members.0.fc2", "members.0.fc3", "members.0")
ALL = ("output", *(f"members.{index}.{layer}" for index in range(3) for layer in ("fc1", "fc2", "fc3")))
JACOBIAN = "jacobian = jacrev(self.field, argnums=1)(params, point)"
CURVATURE = "jacfwd(grad(self.velocity, argnums=1), argnums=1)(params, point)"
MAPPED = """\
        params = self.stacked()
        over_points = vmap(self.equation, in_dims=(None, 0))
        values, residuals = vmap(over_points, in_dims=(0, None))(params, points)
"""

DEFECTS = [
    defect(
        "time for place in the transport", "axis", "value[0] * jacobian[0, 1]", "value[0] * jacobian[0, 0]", "output"
    ),
    defect("curvature in time", "axis", "curvature[1, 1]", "curvature[0, 0]", "output"),
    defect("mixed derivative", "axis", "curvature[1, 1]", "curvature[0, 1]", "output"),
    defect("pressure's own value for its gradient", "readout", "+ jacobian[1, 1]", "+ value[1]", "output"),
    defect(
        "viscosity added",
        "scale or constant",
        "transport - self.log_viscosity",
        "transport + self.log_viscosity",
        "output",
    ),
    defect("viscosity not in logarithms", "activation", "self.log_viscosity.exp()", "self.log_viscosity", "output"),
    defect("viscosity starts at one", "initialisation", "torch.tensor(-1.0)", "torch.tensor(0.0)", "output"),
    defect(
        "jacobian of the velocity twice",
        "readout",
        JACOBIAN,
        "jacobian = grad(self.velocity, argnums=1)(params, point).expand(2, 2)",
        "output",
    ),
    defect(
        "members' parameters stacked without gradient",
        "detached gradient",
        "params = self.stacked()",
        "params, _ = stack_module_state(list(self.members))",
        *ALL,
        also=(Edit("jacrev, vmap", "jacrev, stack_module_state, vmap"),),
    ),
    defect(
        "values detached in the equation",
        "detached gradient",
        "+ value[0] * jacobian",
        "+ value[0].detach() * jacobian",
        *ALL,
    ),
    defect(
        "residual detached", "detached gradient", '"residual": residuals.T', '"residual": residuals.T.detach()', *ALL
    ),
    defect(
        "one member for all",
        "sharing",
        "torch.stack([member[name] for member in members])",
        "torch.stack([members[0][name] for member in members])",
        *ALL,
    ),
    defect(
        "members are one",
        "sharing",
        "nn.ModuleList([Field() for _ in range(MEMBERS)])",
        "nn.ModuleList([Field()] * MEMBERS)",
        *ALL,
        "members.0",
    ),
    defect(
        "spread without Bessel's correction",
        "scale or constant",
        "values.std(dim=0)",
        "values.std(dim=0, unbiased=False)",
        "output",
    ),
    defect("variance for spread", "scale or constant", "values.std(dim=0)", "values.var(dim=0)", "output"),
    defect(
        "mean over points",
        "axis",
        "values.mean(dim=0)",
        "values.mean(dim=1, keepdim=True).expand(-1, len(points), -1)[0]",
        "output",
    ),
    defect("first activation lost", "activation", "x = torch.tanh(self.fc1(x))", "x = self.fc1(x)", *IN_FIELD),
    defect(
        "SiLU for the second tanh",
        "activation",
        "torch.tanh(self.fc2(x))",
        "nn.functional.silu(self.fc2(x))",
        *IN_FIELD,
    ),
    defect("cosines first", "concat order", "[angles.sin(), angles.cos()]", "[angles.cos(), angles.sin()]", *IN_FIELD),
    defect(
        "frequencies doubled",
        "scale or constant",
        "angles = point @ self.frequencies",
        "angles = 2 * point @ self.frequencies",
        *IN_FIELD,
    ),
]

REWRITES = [
    rewrite(
        "loop over the members",
        (
            "        values, residuals = vmap(over_points, in_dims=(0, None))(params, points)\n",
            "        found = [over_points(dict(member.named_parameters()), points) for member in self.members]\n"
            "        values, residuals = (torch.stack(parts) for parts in zip(*found, strict=True))\n",
        ),
        ("        params = self.stacked()\n", ""),
    ),
    rewrite(
        "loop over the points",
        (
            "        values, residuals = vmap(over_points, in_dims=(0, None))(params, points)\n",
            "        found = [vmap(self.equation, in_dims=(0, None))(params, point) for point in points]\n"
            "        values, residuals = (torch.stack(parts, dim=1) for parts in zip(*found, strict=True))\n",
        ),
        ("        over_points = vmap(self.equation, in_dims=(None, 0))\n", ""),
    ),
    rewrite(
        "the other way through the maps",
        (
            MAPPED,
            "        over_members = vmap(self.equation, in_dims=(0, None), out_dims=0)\n"
            "        values, residuals = vmap(over_members, in_dims=(None, 0), out_dims=1)(self.stacked(), points)\n",
        ),
    ),
    rewrite("jacobian forwards", (JACOBIAN, "jacobian = jacfwd(self.field, argnums=1)(params, point)")),
    rewrite(
        "jacobian by rows",
        (
            JACOBIAN,
            "jacobian = torch.stack([grad(lambda at, row=row: self.field(params, at)[row])(point) for row in (0, 1)])",
        ),
    ),
    rewrite(
        "jacobian by pulling back",
        (
            JACOBIAN,
            "jacobian = vmap(vjp(lambda at: self.field(params, at), point)[1])(torch.eye(2).to(point))[0]",
        ),
        ("jacrev, vmap", "vjp, vmap"),
    ),
    rewrite(
        "jacobian with the value at once",
        ("        value = self.field(params, point)\n", ""),
        (JACOBIAN, "jacobian, value = jacrev(self.with_value, argnums=1, has_aux=True)(params, point)"),
        (
            "    def velocity(",
            "    def with_value(self, params: dict[str, Tensor], point: Tensor) -> tuple[Tensor, Tensor]:\n"
            '        """A member\'s values, twice."""\n        value = self.field(params, point)\n'
            "        return value, value\n\n    def velocity(",
        ),
    ),
    rewrite(
        "hessian by its name",
        (CURVATURE, "hessian(self.velocity, argnums=1)(params, point)"),
        ("grad, jacfwd, jacrev", "grad, hessian, jacfwd, jacrev"),
    ),
    rewrite(
        "hessian backwards twice", (CURVATURE, "jacrev(jacrev(self.velocity, argnums=1), argnums=1)(params, point)")
    ),
    rewrite(
        "curvature by nested gradients of numbers",
        (CURVATURE, "grad(lambda at: grad(self.velocity, argnums=1)(params, at)[1])(point)[None].expand(2, 2)"),
    ),
    rewrite(
        "mapped in chunks",
        ("vmap(self.equation, in_dims=(None, 0))", "vmap(self.equation, in_dims=(None, 0), chunk_size=2)"),
    ),
    rewrite(
        "mapped with randomness allowed",
        ("vmap(over_points, in_dims=(0, None))", 'vmap(over_points, in_dims=(0, None), randomness="different")'),
    ),
    rewrite(
        "parameters and buffers handed over",
        (
            "functional_call(self.members[0], params, (point,))",
            "functional_call(self.members[0], (params, dict(self.members[0].named_buffers())), (point,))",
        ),
    ),
    rewrite(
        "a skeleton without weights",
        (
            "        self.log_viscosity",
            '        self.skeleton = [copy.deepcopy(self.members[0]).to("meta")]\n        self.log_viscosity',
        ),
        (
            "functional_call(self.members[0], params, (point,))",
            "functional_call(self.skeleton[0], (params, dict(self.members[0].named_buffers())), (point,))",
        ),
        ("import torch\n", "import copy\n\nimport torch\n"),
    ),
    rewrite(
        "field written out",
        (
            "out: Tensor = functional_call(self.members[0], params, (point,))\n        return out",
            "angles = point @ self.members[0].frequencies\n"
            "        x = torch.cat([angles.sin(), angles.cos()], dim=-1)\n"
            '        x = torch.tanh(nn.functional.linear(x, params["fc1.weight"], params["fc1.bias"]))\n'
            '        x = torch.tanh(nn.functional.linear(x, params["fc2.weight"], params["fc2.bias"]))\n'
            '        return nn.functional.linear(x, params["fc3.weight"], params["fc3.bias"])',
        ),
    ),
    rewrite(
        "functions inside the forward",
        (
            "        over_points = vmap(self.equation, in_dims=(None, 0))\n",
            "        def at_point(params: dict[str, Tensor], point: Tensor) -> tuple[Tensor, Tensor]:\n"
            "            return self.equation(params, point)\n\n"
            "        over_points = vmap(at_point, in_dims=(None, 0))\n",
        ),
    ),
    rewrite(
        "values by a plain call of each member",
        (
            '        return {"mean": values',
            '        values = torch.stack([member(points) for member in self.members])\n        return {"mean": values',
        ),
    ),
    rewrite(
        "derivatives by autograd on the whole batch",
        (
            MAPPED,
            "        with torch.enable_grad():\n"
            "            points = points if points.requires_grad else points.detach().requires_grad_(True)\n"
            "            found = [self.by_autograd(member, points) for member in self.members]\n"
            "        values, residuals = (torch.stack(parts) for parts in zip(*found, strict=True))\n",
        ),
        (
            "    def forward(self, points",
            "    def by_autograd(self, member: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:\n"
            '        """A member\'s values, and what is left of the equation."""\n'
            "        value = member(points)\n"
            "        (velocity,) = torch.autograd.grad(value[:, 0].sum(), points, create_graph=True)\n"
            "        (pressure,) = torch.autograd.grad(value[:, 1].sum(), points, create_graph=True)\n"
            "        (curvature,) = torch.autograd.grad(velocity[:, 1].sum(), points, create_graph=True)\n"
            "        transport = velocity[:, 0] + value[:, 0] * velocity[:, 1] + pressure[:, 1]\n"
            "        return value, transport - self.log_viscosity.exp() * curvature[:, 1]\n\n"
            "    def forward(self, points",
        ),
    ),
]
