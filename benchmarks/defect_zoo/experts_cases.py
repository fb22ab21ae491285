"""Cases of the mixture of experts."""

from defect_zoo.case import defect, rewrite

LOOP = """\
        out = torch.zeros_like(flat)
        for index, expert in enumerate(self.experts):
            rows, ranks = torch.where(chosen == index)
            if len(rows) == 0:
                continue
            out.index_add_(0, rows, expert(flat[rows]) * weights[rows, ranks, None])
"""
GATES = "        gates = torch.zeros_like(chances).scatter(1, chosen, weights)\n"
MIXTURE = "mixtures.0"
ROUTER = ("mixtures.0.router", "mixtures.1.router", "mixtures.1", "mixtures.0", "tokens", "norms.0", "norms.1")
NOISE = "            routed = flat * torch.empty_like(flat).uniform_(1 - self.jitter, 1 + self.jitter)\n"

DEFECTS = [
    defect(
        "weights not made to sum to one",
        "normalisation",
        "        weights = weights / weights.sum(dim=-1, keepdim=True)\n",
        "",
        MIXTURE,
    ),
    defect(
        "one expert for each token",
        "scale or constant",
        "DIM, EXPERTS, CHOSEN = 8, 4, 2",
        "DIM, EXPERTS, CHOSEN = 8, 4, 1",
        MIXTURE,
        "mixtures.0.experts.0",
        "mixtures.0.experts.0.fc1",
        "mixtures.0.experts.1.fc1",
        "mixtures.0.experts.2.fc1",
    ),
    defect(
        "gates by sigmoid",
        "activation",
        "self.router(routed).softmax(dim=-1)",
        "self.router(routed).sigmoid()",
        MIXTURE,
    ),
    defect(
        "softmax over tokens",
        "axis",
        "self.router(routed).softmax(dim=-1)",
        "self.router(routed).softmax(dim=0)",
        MIXTURE,
        "mixtures.0.experts.0.fc1",
        "mixtures.0.experts.1.fc1",
    ),
    defect(
        "the least likely experts",
        "activation",
        "chances.topk(CHOSEN, dim=-1)",
        "chances.topk(CHOSEN, dim=-1, largest=False)",
        MIXTURE,
        "mixtures.0.experts.0.fc1",
        "mixtures.0.experts.0",
    ),
    defect(
        "weights detached",
        "detached gradient",
        "weights = weights / weights",
        "weights = weights.detach() / weights.detach()",
        *ROUTER,
    ),
    defect(
        "weights under each other's expert",
        "readout",
        "weights[rows, ranks, None]",
        "weights[rows, 1 - ranks, None]",
        MIXTURE,
    ),
    defect(
        "second expert overwrites the first",
        "readout",
        "out.index_add_(0, rows, expert(flat[rows]) * weights[rows, ranks, None])",
        "out[rows] = expert(flat[rows]) * weights[rows, ranks, None]",
        MIXTURE,
    ),
    defect("experts not weighted", "scale or constant", " * weights[rows, ranks, None]", "", MIXTURE),
    defect(
        "last expert never asked",
        "recurrent wiring",
        "enumerate(self.experts):",
        "enumerate(self.experts[:-1]):",
        MIXTURE,
        "mixtures.0.experts.3",
        "mixtures.0.experts.3.fc1",
    ),
    defect(
        "one expert under four names",
        "sharing",
        "nn.ModuleList([Mlp(12) for _ in range(EXPERTS)])",
        "nn.ModuleList([Mlp(12)] * EXPERTS)",
        "mixtures.0.experts.0.fc1",
        "mixtures.0.experts.1.fc1",
        MIXTURE,
    ),
    defect(
        "shared expert lost",
        "residual",
        "out.view_as(x) + self.shared(x)",
        "out.view_as(x)",
        MIXTURE,
        "mixtures.0.shared",
        "mixtures.0.shared.fc1",
    ),
    defect(
        "shared expert without gradient",
        "detached gradient",
        "self.shared(x)",
        "self.shared(x).detach()",
        "mixtures.0.shared",
        "mixtures.0.shared.fc1",
        "mixtures.1.shared",
        "mixtures.1.shared.fc1",
        "tokens",
        "mixtures.1.shared.fc2",
        "mixtures.0.shared.fc2",
    ),
    defect(
        "noise in eval mode, too",
        "train or eval mode",
        "        if self.training:\n            routed",
        "        if True:\n            routed",
        MIXTURE,
        "mixtures.0.router",
    ),
    defect(
        "noise never", "train or eval mode", "        if self.training:\n" + NOISE, "", MIXTURE, "mixtures.0.router"
    ),
    defect(
        "noise for the experts, too",
        "train or eval mode",
        NOISE,
        NOISE.replace("routed =", "routed = flat ="),
        MIXTURE,
        "mixtures.0.experts.0.fc1",
    ),
    defect(
        "balance detached",
        "detached gradient",
        "balance = balance + uneven",
        "balance = balance + uneven.detach()",
        *ROUTER,
    ),
    defect(
        "importance without gradient",
        "detached gradient",
        "importance = chances.view",
        "importance = chances.detach().view",
        *ROUTER,
    ),
    defect("balance of the last mixture only", "residual", "balance = balance + uneven", "balance = uneven", "output"),
    defect(
        "balance by the number of experts",
        "scale or constant",
        "EXPERTS / CHOSEN * (usage",
        "EXPERTS * (usage",
        MIXTURE,
    ),
    defect(
        "usage counts the first choice",
        "readout",
        "functional.one_hot(chosen, EXPERTS).sum(dim=1)",
        "functional.one_hot(chosen[:, 0], EXPERTS)",
        MIXTURE,
    ),
    defect("ReLU experts", "activation", "functional.gelu(", "functional.relu(", "mixtures.0.experts.0.fc2"),
    defect("branch without skip", "residual", "x = x + y\n", "x = y\n", "norms.1"),
    defect(
        "router sees what isn't normalised",
        "normalisation",
        "mixture(norm(x))",
        "mixture(x)",
        "mixtures.0.router",
        "norms.0",
    ),
]

REWRITES = [
    rewrite(
        "all experts for all tokens",
        (
            LOOP,
            GATES
            + "        out = sum(gates[:, index, None] * expert(flat) for index, expert in enumerate(self.experts))\n",
        ),
    ),
    rewrite(
        "experts stacked",
        (
            LOOP,
            GATES + "        hidden = functional.gelu(torch.stack([expert.fc1(flat) for expert in self.experts]))\n"
            "        weight = torch.stack([expert.fc2.weight for expert in self.experts])\n"
            "        bias = torch.stack([expert.fc2.bias for expert in self.experts])\n"
            '        found = torch.einsum("enh,edh->end", hidden, weight) + bias[:, None]\n'
            '        out = torch.einsum("end,ne->nd", found, gates)\n',
        ),
    ),
    rewrite(
        "experts by batched products",
        (
            LOOP,
            GATES + "        first, second = [expert.fc1 for expert in self.experts], [expert.fc2 for expert "
            "in self.experts]\n"
            "        hidden = torch.baddbmm(torch.stack([one.bias for one in first])[:, None], "
            "flat.expand(EXPERTS, -1, -1), torch.stack([one.weight.T for one in first]))\n"
            "        found = torch.baddbmm(torch.stack([one.bias for one in second])[:, None], "
            "functional.gelu(hidden), torch.stack([one.weight.T for one in second]))\n"
            "        out = (found * gates.T[:, :, None]).sum(dim=0)\n",
        ),
    ),
    rewrite(
        "experts by vmap",
        (
            LOOP,
            GATES + "        params = {\n"
            "            name: torch.stack([dict(expert.named_parameters())[name] for expert in self.experts])\n"
            "            for name, _ in self.experts[0].named_parameters()\n        }\n"
            "        found = vmap(lambda one, at: functional_call(self.experts[0], one, (at,)), "
            "in_dims=(0, None))(params, flat)\n"
            '        out = torch.einsum("end,ne->nd", found, gates)\n',
        ),
        (
            "from torch import Tensor, nn\n",
            "from torch import Tensor, nn\nfrom torch.func import functional_call, vmap\n",
        ),
    ),
    rewrite(
        "each token's own weights",
        (
            LOOP,
            "        weight1, bias1, weight2, bias2 = (\n"
            "            torch.stack([getattr(getattr(expert, layer), kind) for expert in self.experts])[chosen]\n"
            '            for layer in ("fc1", "fc2") for kind in ("weight", "bias")\n        )\n'
            '        hidden = functional.gelu(torch.einsum("nkhd,nd->nkh", weight1, flat) + bias1)\n'
            '        out = ((torch.einsum("nkdh,nkh->nkd", weight2, hidden) + bias2) * weights[..., '
            "None]).sum(dim=1)\n",
        ),
    ),
    rewrite(
        "mask by one-hot",
        (
            "            rows, ranks = torch.where(chosen == index)\n",
            "            ranks, rows = torch.where(mask[index])\n",
        ),
        (
            "        out = torch.zeros_like(flat)\n",
            "        mask = functional.one_hot(chosen, EXPERTS).permute(2, 1, 0)\n"
            "        out = torch.zeros_like(flat)\n",
        ),
    ),
    rewrite("rows by nonzero", ("torch.where(chosen == index)", "(chosen == index).nonzero(as_tuple=True)")),
    rewrite(
        "added by index",
        (
            "out.index_add_(0, rows, expert(flat[rows]) * weights[rows, ranks, None])",
            "out[rows] += expert(flat[rows]) * weights[rows, ranks, None]",
        ),
    ),
    rewrite("added out of place", ("out.index_add_(0,", "out = out.index_add(0,")),
    rewrite("empty experts asked, too", ("            if len(rows) == 0:\n                continue\n", "")),
    rewrite(
        "only experts that are asked",
        (
            "        for index, expert in enumerate(self.experts):\n"
            "            rows, ranks = torch.where(chosen == index)\n            if len(rows) == 0:\n"
            "                continue\n",
            "        for index in chosen.unique().tolist():\n"
            "            expert = self.experts[index]\n"
            "            rows, ranks = torch.where(chosen == index)\n",
        ),
    ),
    rewrite(
        "choices one after the other",
        (
            LOOP,
            "        out = torch.zeros_like(flat)\n"
            "        for index, expert in enumerate(self.experts):\n"
            "            for rank in range(CHOSEN):\n"
            "                rows = torch.where(chosen[:, rank] == index)[0]\n                if len(rows):\n"
            "                    out.index_add_(0, rows, expert(flat[rows]) * weights[rows, rank, None])\n",
        ),
    ),
    rewrite(
        "tokens sorted by expert",
        (
            LOOP,
            "        order = chosen.flatten().argsort(stable=True)\n"
            "        counts = torch.bincount(chosen.flatten(), minlength=EXPERTS).tolist()\n"
            "        parts = flat[order // CHOSEN].split(counts)\n"
            "        found = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])\n"
            "        found = found * weights.flatten()[order, None]\n"
            "        out = torch.zeros_like(flat).index_add(0, order // CHOSEN, found)\n",
        ),
    ),
    rewrite(
        "softmax of the chosen",
        (
            "        chances = self.router(routed).softmax(dim=-1)\n"
            "        weights, chosen = chances.topk(CHOSEN, dim=-1)\n"
            "        weights = weights / weights.sum(dim=-1, keepdim=True)\n",
            "        scores = self.router(routed)\n        chances = scores.softmax(dim=-1)\n"
            "        best, chosen = scores.topk(CHOSEN, dim=-1)\n"
            "        weights = best.softmax(dim=-1)\n",
        ),
    ),
    rewrite(
        "chosen by sorting",
        ("chances.topk(CHOSEN, dim=-1)", "(part[:, :CHOSEN] for part in chances.sort(dim=-1, descending=True))"),
    ),
    rewrite(
        "router as a parameter",
        (
            "self.router = nn.Linear(DIM, EXPERTS, bias=False)",
            "self.router = nn.Parameter(torch.empty(EXPERTS, DIM).normal_())",
        ),
        ("self.router(routed)", "functional.linear(routed, self.router)"),
    ),
    rewrite(
        "balance kept on the mixtures",
        (
            "        return mixed, EXPERTS / CHOSEN * (usage * importance).sum(dim=1)\n",
            "        self.uneven = EXPERTS / CHOSEN * (usage * importance).sum(dim=1)\n        return mixed\n",
        ),
        ("def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:", "def forward(self, x: Tensor) -> Tensor:"),
        (
            "            y, uneven = mixture(norm(x))\n            x = x + y\n            balance = balance + uneven\n",
            "            x = x + mixture(norm(x))\n            balance = balance + mixture.uneven\n",
        ),
    ),
    rewrite(
        "balance gathered in a list",
        ("        balance = torch.zeros((), dtype=x.dtype, device=x.device)\n", "        found = []\n"),
        ("balance = balance + uneven", "found.append(uneven)"),
        ('"balance": balance}', '"balance": torch.stack(found).sum(dim=0)}'),
    ),
    rewrite(
        "experts under checkpoints",
        ("expert(flat[rows])", "checkpoint(expert, flat[rows], use_reentrant=False)"),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite(
        "noise drawn from nought to one",
        (
            "torch.empty_like(flat).uniform_(1 - self.jitter, 1 + self.jitter)",
            "(torch.rand_like(flat) * 2 * self.jitter + 1 - self.jitter)",
        ),
    ),
]
