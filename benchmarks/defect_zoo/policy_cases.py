"""Cases of the actor and critic."""

from defect_zoo.case import Edit, defect, rewrite

DATACLASS = "@dataclass\nclass Decision:\n"
FIELDS = "    action: Categorical\n    steer: Distribution\n    value: Tensor\n"
RETURN = "return Decision(Categorical(logits=logits), Independent(Normal(mean, std), 1), value)"
TRUNK = ("fc1", "fc2", "hidden", "critic")

DEFECTS = [
    defect("values never negative", "activation", ".squeeze(-1)", ".squeeze(-1).relu()", "output"),
    defect("absolute values", "activation", ".squeeze(-1)", ".squeeze(-1).abs()", "output"),
    defect("values squashed", "activation", ".squeeze(-1)", ".squeeze(-1).tanh()", "output"),
    defect("values clamped from above", "activation", ".squeeze(-1)", ".squeeze(-1).clamp(max=0.5)", "output"),
    defect(
        "values by softplus",
        "activation",
        ".squeeze(-1)",
        ".squeeze(-1)\n        value = nn.functional.softplus(value)",
        "output",
    ),
    defect("value's features detached", "detached gradient", "self.hidden(x)", "self.hidden(x.detach())", *TRUNK),
    defect(
        "policy's features detached", "detached gradient", "self.logits(x)", "self.logits(x.detach())", *TRUNK, "logits"
    ),
    defect("mean detached", "detached gradient", "Normal(mean, std)", "Normal(mean.detach(), std)", *TRUNK, "mean"),
    defect(
        "logits detached",
        "detached gradient",
        "Categorical(logits=logits)",
        "Categorical(logits=logits.detach())",
        *TRUNK,
        "logits",
    ),
    defect(
        "spread frozen",
        "detached gradient",
        "nn.Parameter(torch.full((2,), -0.5))",
        "nn.Parameter(torch.full((2,), -0.5), requires_grad=False)",
        "output",
    ),
    defect("mean not squashed", "activation", "torch.tanh(self.mean(x))", "self.mean(x)", "output"),
    defect(
        "spread by softplus",
        "activation",
        ".clamp(-5.0, 2.0).exp()",
        ".clamp(-5.0, 2.0).nn_softplus()".replace("nn_softplus()", "exp().log1p()"),
        "output",
    ),
    defect(
        "variance for spread",
        "scale or constant",
        ".clamp(-5.0, 2.0).exp()",
        ".clamp(-5.0, 2.0).exp().square()",
        "output",
    ),
    defect("spread clamped lower", "scale or constant", ".clamp(-5.0, 2.0)", ".clamp(-5.0, 0.0)", "output"),
    defect("spread starts at one", "initialisation", "torch.full((2,), -0.5)", "torch.zeros(2)", "output"),
    defect("illegal for legal", "masking", "~is_legal", "is_legal", "output"),
    defect("illegal actions possible", "masking", ".masked_fill(~is_legal, -1e8)", "", "output"),
    defect(
        "a cooler policy",
        "scale or constant",
        "Categorical(logits=logits)",
        "Categorical(logits=logits / 0.5)",
        "output",
    ),
    defect(
        "sigmoids for a softmax",
        "activation",
        "Categorical(logits=logits)",
        "Categorical(probs=torch.sigmoid(logits) + 1e-3)",
        "output",
    ),
    defect(
        "first activation lost",
        "activation",
        "x = torch.tanh(self.fc1(observation))",
        "x = self.fc1(observation)",
        "fc2",
    ),
    defect(
        "ReLU for the second tanh", "activation", "x = torch.tanh(self.fc2(x))", "x = torch.relu(self.fc2(x))", "logits"
    ),
    defect("value of the squashed", "activation", "torch.relu(self.hidden(x))", "torch.tanh(self.hidden(x))", "critic"),
    defect(
        "values normalised over the batch",
        "axis",
        ".squeeze(-1)",
        ".squeeze(-1)\n        value = value - value.mean()",
        "output",
    ),
    defect("biases at their default", "initialisation", "            nn.init.zeros_(layer.bias)\n", "", "fc1"),
    defect(
        "a value of its own trunk",
        "sharing",
        "self.hidden(x)",
        "self.hidden(torch.tanh(self.fc3(torch.tanh(self.fc1(observation)))))",
        "fc3",
        "fc1",
        "hidden",
        also=(Edit("        self.logits = nn", "        self.fc3 = nn.Linear(16, 14)\n        self.logits = nn"),),
    ),
]

REWRITES = [
    rewrite(
        "an object with a constructor",
        (DATACLASS, "class Decision:\n"),
        (
            FIELDS,
            "    def __init__(self, action: Categorical, steer: Distribution, value: Tensor) -> None:\n"
            "        self.action, self.steer, self.value = action, steer, value\n",
        ),
        ("from dataclasses import dataclass\n\n", ""),
    ),
    rewrite("a frozen dataclass with slots", ("@dataclass\n", "@dataclass(frozen=True, slots=True)\n")),
    rewrite(
        "a named tuple",
        (DATACLASS, "class Decision(NamedTuple):\n"),
        ("from dataclasses import dataclass\n", "from typing import NamedTuple\n"),
    ),
    rewrite(
        "a namespace",
        (
            RETURN,
            "return SimpleNamespace(\n"
            "            action=Categorical(logits=logits), steer=Independent(Normal(mean, std), 1), value=value\n"
            "        )",
        ),
        (
            "from dataclasses import dataclass\n",
            "from dataclasses import dataclass\nfrom types import SimpleNamespace\n",
        ),
    ),
    rewrite(
        "a map",
        (
            RETURN,
            'return {"action": Categorical(logits=logits), "steer": Independent(Normal(mean, std), 1), "value": value}',
        ),
    ),
    rewrite("a dataclass that counts", ("    value: Tensor\n\n", '    value: Tensor\n    kind: str = "train"\n\n')),
    rewrite(
        "decided by keyword",
        (
            RETURN,
            "action, steer = Categorical(logits=logits), Independent(Normal(mean, std), 1)\n"
            "        return Decision(value=value, steer=steer, action=action)",
        ),
    ),
    rewrite(
        "a distribution of one's own",
        ("@dataclass\n", 'class Choice(Categorical):\n    """Actions."""\n\n\n@dataclass\n'),
        ("Categorical(logits=logits)", "Choice(logits=logits)"),
    ),
    rewrite(
        "masked in a distribution of one's own",
        (
            "@dataclass\n",
            'class Masked(Categorical):\n    """Actions, of which some are illegal."""\n\n'
            "    def __init__(self, logits: Tensor, mask: Tensor) -> None:\n"
            "        self.mask = mask\n"
            "        super().__init__(logits=logits.masked_fill(~mask, -1e8))\n\n\n@dataclass\n",
        ),
        (".masked_fill(~is_legal, -1e8)", ""),
        ("Categorical(logits=logits)", "Masked(logits, is_legal)"),
    ),
    rewrite(
        "not validated",
        ("Categorical(logits=logits)", "Categorical(logits=logits, validate_args=False)"),
        ("Normal(mean, std)", "Normal(mean, std, validate_args=False)"),
    ),
    rewrite(
        "logits normalised beforehand", ("Categorical(logits=logits)", "Categorical(logits=logits.log_softmax(dim=-1))")
    ),
    rewrite(
        "mask by where",
        (
            ".masked_fill(~is_legal, -1e8)",
            "\n        logits = torch.where(is_legal, logits, torch.full_like(logits, -1e8))",
        ),
    ),
    rewrite("spread broadcast by the distribution", (".exp().expand_as(mean)", ".exp()")),
    rewrite("spread by addition", (".exp().expand_as(mean)", ".exp() + torch.zeros_like(mean)")),
    rewrite("value flattened", (".squeeze(-1)", ".flatten()")),
    rewrite("value by index", (".squeeze(-1)", "[:, 0]")),
    rewrite(
        "value by sum of products",
        (
            "self.critic(torch.relu(self.hidden(x))).squeeze(-1)",
            "(torch.relu(self.hidden(x)) * self.critic.weight).sum(dim=-1) + self.critic.bias",
        ),
    ),
    rewrite(
        "critic first",
        (
            "        logits = self.logits(x).masked_fill(~is_legal, -1e8)\n",
            "        value = self.critic(torch.relu(self.hidden(x))).squeeze(-1)\n"
            "        logits = self.logits(x).masked_fill(~is_legal, -1e8)\n",
        ),
        (
            "exp().expand_as(mean)\n        value = self.critic(torch.relu(self.hidden(x))).squeeze(-1)\n",
            "exp().expand_as(mean)\n",
        ),
    ),
    rewrite(
        "trunk as a sequence",
        (
            "        self.fc1 = nn.Linear(6, 16)\n        self.fc2 = nn.Linear(16, 14)\n",
            "        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 14), nn.Tanh())\n",
        ),
        ("(self.fc1, self.fc2, self.hidden)", "(self.trunk[0], self.trunk[2], self.hidden)"),
        (
            "        x = torch.tanh(self.fc1(observation))\n        x = torch.tanh(self.fc2(x))\n",
            "        x = self.trunk(observation)\n",
        ),
    ),
]
