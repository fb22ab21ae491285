"""Cases of the twin critics."""

from defect_zoo.case import Edit, defect, rewrite

RETURN = "        return torch.minimum(first, second)\n"
BOTH = "        first, second = self.q1(state, action), self.q2(state, action)\n"
TWINS = """        self.q1 = Dueling()
        self.q2 = Dueling()
"""
LAYERS = """    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), nn.Dropout(0.1), nn.LayerNorm(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
"""
DUEL = """        parts = self.advantage(torch.cat([state, torch.tanh(action)], dim=-1))  # (B, 4)
        advantage = parts - parts.mean(dim=-1, keepdim=True)
        worth: Tensor = self.value(state).squeeze(-1) + advantage[:, 0]
"""

DEFECTS = [
    defect(
        "ReLU on the output",
        "activation",
        "return torch.minimum(first, second)",
        "return torch.minimum(first, second).relu()",
        "output",
    ),
    defect(
        "absolute value of the output",
        "activation",
        "return torch.minimum(first, second)",
        "return torch.minimum(first, second).abs()",
        "output",
    ),
    defect(
        "output clamped from below",
        "activation",
        "return torch.minimum(first, second)",
        "return torch.minimum(first, second).clamp(min=0)",
        "output",
    ),
    defect(
        "output clamped from above",
        "activation",
        "return torch.minimum(first, second)",
        "return torch.minimum(first, second).clamp(max=0)",
        "output",
    ),
    defect(
        "softplus on the output",
        "activation",
        "return torch.minimum(first, second)",
        "return nn.functional.softplus(torch.minimum(first, second))",
        "output",
    ),
    defect(
        "tanh on the output",
        "activation",
        "return torch.minimum(first, second)",
        "return torch.minimum(first, second).tanh()",
        "output",
    ),
    defect("greater for lesser", "pooling", "torch.minimum(first, second)", "torch.maximum(first, second)", "output"),
    defect("mean of both", "pooling", "torch.minimum(first, second)", "(first + second) / 2", "output"),
    defect(
        "first critic only",
        "sharing",
        "torch.minimum(first, second)",
        "torch.minimum(first, first)",
        "q2.advantage.0",
        "q2.value.4",
        "output",
    ),
    defect(
        "one critic twice",
        "sharing",
        "self.q2(state, action)\n",
        "self.q1(state, action)\n",
        "q2.advantage.0",
        "q1.advantage.0",
    ),
    defect(
        "one critic under two names",
        "sharing",
        "self.q2 = Dueling()",
        "self.q2 = self.q1",
        "q2.advantage.0",
        "q1.advantage.0",
    ),
    defect("advantage not centred", "scale or constant", "parts - parts.mean(dim=-1, keepdim=True)", "parts", "q1"),
    defect("advantage centred over the batch", "axis", "parts.mean(dim=-1, keepdim=True)", "parts.mean()", "q1"),
    defect(
        "advantage less its maximum",
        "pooling",
        "parts.mean(dim=-1, keepdim=True)",
        "parts.amax(dim=-1, keepdim=True)",
        "q1",
    ),
    defect(
        "value taken away",
        "scale or constant",
        "self.value(state).squeeze(-1) + advantage[:, 0]",
        "advantage[:, 0] - self.value(state).squeeze(-1)",
        "q1",
    ),
    defect(
        "values of all examples added to each",
        "axis",
        "self.value(state).squeeze(-1) + advantage[:, 0]",
        "self.value(state).sum() + advantage[:, 0]",
        "q1",
    ),
    defect(
        "value against each example's advantage",
        "axis",
        "self.value(state).squeeze(-1) + advantage[:, 0]",
        "(self.value(state) + advantage[:, 0]).mean(dim=0)",
        "q1",
    ),
    defect(
        "ReLU behind the value",
        "activation",
        "self.value(state).squeeze(-1) +",
        "self.value(state).squeeze(-1).relu() +",
        "q1",
    ),
    defect(
        "ReLU behind the advantage",
        "activation",
        "torch.tanh(action)], dim=-1))  #",
        "torch.tanh(action)], dim=-1)).relu()  #",
        "q1",
    ),
    defect("actions not squashed", "activation", "torch.tanh(action)", "action", "q1.advantage.0"),
    defect("actions cut", "activation", "torch.tanh(action)", "action.clamp(-1, 1)", "q1.advantage.0"),
    defect(
        "action before state",
        "concat order",
        "[state, torch.tanh(action)]",
        "[torch.tanh(action), state]",
        "q1.advantage.0",
    ),
    defect(
        "states not shifted",
        "scale or constant",
        "(state - self.shift) / self.scale",
        "state / self.scale",
        "q1.advantage.0",
    ),
    defect(
        "states scaled the wrong way",
        "scale or constant",
        "(state - self.shift) / self.scale",
        "(state - self.shift) * self.scale",
        "q1.advantage.0",
    ),
    defect(
        "value sees the raw state",
        "scale or constant",
        BOTH,
        "        raw = state\n" + BOTH,
        "q2.advantage.0",
        also=(
            Edit(
                "        state = (state - self.shift) / self.scale\n        raw = state\n",
                "        raw, state = state, (state - self.shift) / self.scale\n",
            ),
            Edit("self.q2(state, action)", "self.q2(raw, action)"),
        ),
    ),
    defect(
        "dropout behind the norm",
        "dropout",
        "nn.Dropout(0.1), nn.LayerNorm(after), nn.ReLU()",
        "nn.LayerNorm(after), nn.Dropout(0.1), nn.ReLU()",
        "q1.advantage.1",
    ),
    defect("dropout lost", "dropout", "nn.Dropout(0.1)", "nn.Dropout(0.0)", "q1.advantage.1"),
    defect(
        "norm behind the ReLU",
        "normalisation",
        "nn.LayerNorm(after), nn.ReLU()",
        "nn.ReLU(), nn.LayerNorm(after)",
        "q1.advantage.2",
    ),
    defect(
        "second critic detached",
        "detached gradient",
        "self.q2(state, action)\n",
        "self.q2(state, action).detach()\n",
        "q2.advantage.0",
        "q2.value.4",
    ),
    defect(
        "value detached",
        "detached gradient",
        "self.value(state).squeeze(-1)",
        "self.value(state).detach().squeeze(-1)",
        "q1.value.0",
        "q2.value.4",
    ),
    defect(
        "mean of advantages detached",
        "detached gradient",
        "parts.mean(dim=-1, keepdim=True)",
        "parts.detach().mean(dim=-1, keepdim=True)",
        "q1.advantage.0",
        "q1.advantage.8",
        "q2.advantage.8",
    ),
]

REWRITES = [
    rewrite("minimum of a pair", (RETURN, "        return torch.min(first, second)\n")),
    rewrite("minimum over a stack", (RETURN, "        return torch.stack([first, second]).min(dim=0).values\n")),
    rewrite("amin over a stack", (RETURN, "        return torch.stack([first, second], dim=1).amin(dim=1)\n")),
    rewrite("minimum by where", (RETURN, "        return torch.where(first < second, first, second)\n")),
    rewrite("minimum by a ReLU", (RETURN, "        return first - nn.functional.relu(first - second)\n")),
    rewrite("minimum by signs", (RETURN, "        return -torch.maximum(-first, -second)\n")),
    rewrite(
        "a list of critics",
        (TWINS, "        self.critics = nn.ModuleList(Dueling() for _ in range(2))\n"),
        (BOTH, "        first, second = (critic(state, action) for critic in self.critics)\n"),
    ),
    rewrite("critics registered in reverse", (TWINS, "        self.q2 = Dueling()\n        self.q1 = Dueling()\n")),
    rewrite(
        "critics by name",
        (TWINS, '        for index in (1, 2):\n            self.add_module(f"q{index}", Dueling())\n'),
        (BOTH, '        first, second = (getattr(self, f"q{index}")(state, action) for index in (1, 2))\n'),
    ),
    rewrite(
        "critics called as functions",
        (
            BOTH,
            """        first, second = (
            torch.func.functional_call(critic, dict(critic.named_parameters()), (state, action))
            for critic in (self.q1, self.q2)
        )
""",
        ),
    ),
    rewrite(
        "layers added one by one",
        (
            LAYERS,
            """    net = nn.Sequential()
    for index, (before, after) in enumerate(pairwise(widths[:-1])):
        net.add_module(f"fc{index}", nn.Linear(before, after))
        net.add_module(f"drop{index}", nn.Dropout(0.1))
        net.add_module(f"norm{index}", nn.LayerNorm(after))
        net.add_module(f"act{index}", nn.ReLU(inplace=True))
    net.add_module("out", nn.Linear(widths[-2], widths[-1]))
    return net
""",
        ),
    ),
    rewrite(
        "one ReLU for all",
        (
            LAYERS,
            """    layers: list[nn.Module] = []
    relu = nn.ReLU()
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), nn.Dropout(0.1), nn.LayerNorm(after), relu]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
""",
        ),
    ),
    rewrite(
        "states normalised by addcdiv",
        ("(state - self.shift) / self.scale", "torch.addcdiv(-self.shift / self.scale, state, self.scale)"),
    ),
    rewrite(
        "states normalised by a reciprocal",
        ("(state - self.shift) / self.scale", "(state - self.shift) * self.scale.reciprocal()"),
    ),
    rewrite(
        "statistics no part of the checkpoint",
        ("torch.linspace(-0.5, 0.5, 6))", "torch.linspace(-0.5, 0.5, 6), persistent=False)"),
    ),
    rewrite(
        "statistics as frozen parameters",
        (
            'self.register_buffer("shift", torch.linspace(-0.5, 0.5, 6))',
            "self.shift = nn.Parameter(torch.linspace(-0.5, 0.5, 6), requires_grad=False)",
        ),
        ("    shift: Tensor\n", "    shift: nn.Parameter\n"),
    ),
    rewrite(
        "statistics as plain lists",
        (
            'self.register_buffer("shift", torch.linspace(-0.5, 0.5, 6))',
            "self.shift = torch.linspace(-0.5, 0.5, 6).tolist()",
        ),
        (
            'self.register_buffer("scale", torch.linspace(0.5, 1.5, 6))',
            "self.scale = torch.linspace(0.5, 1.5, 6).tolist()",
        ),
        ("(state - self.shift) / self.scale", "(state - state.new_tensor(self.shift)) / state.new_tensor(self.scale)"),
        ("    shift: Tensor\n    scale: Tensor\n", "    shift: list[float]\n    scale: list[float]\n"),
    ),
    rewrite(
        "advantage centred before the last layer",
        (
            DUEL,
            """        *body, last = self.advantage
        hidden = nn.Sequential(*body)(torch.cat([state, torch.tanh(action)], dim=-1))
        weight, bias = last.weight - last.weight.mean(dim=0), last.bias - last.bias.mean()
        advantage = nn.functional.linear(hidden, weight, bias)
        worth: Tensor = self.value(state).squeeze(-1) + advantage[:, 0]
""",
        ),
    ),
    rewrite(
        "value as a column",
        (
            DUEL,
            """        parts = self.advantage(torch.cat([state, torch.tanh(action)], dim=-1))  # (B, 4)
        value = self.value(state)  # (B, 1)
        worth: Tensor = (value + parts - parts.mean(dim=1, keepdim=True)).select(1, 0)
""",
        ),
    ),
    rewrite(
        "first picked by gather",
        ("advantage[:, 0]", "advantage.gather(1, torch.zeros_like(advantage[:, :1], dtype=torch.long)).squeeze(1)"),
    ),
    rewrite("squeezed by index", ("self.value(state).squeeze(-1)", "self.value(state)[:, 0]")),
    rewrite("tanh by sigmoid", ("torch.tanh(action)", "(2 * torch.sigmoid(2 * action) - 1)")),
    rewrite(
        "split first layer",
        (
            "        parts = self.advantage(torch.cat([state, torch.tanh(action)], dim=-1))  # (B, 4)\n",
            """        first, rest = self.advantage[0], self.advantage[1:]
        hidden = nn.functional.linear(state, first.weight[:, :6], first.bias)
        parts = rest(hidden + nn.functional.linear(torch.tanh(action), first.weight[:, 6:]))
""",
        ),
    ),
]
