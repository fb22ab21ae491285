"""A mixture of experts: a router sends every token to two of four experts, one expert is shared, usage is balanced."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,7:int64<20"]
DIM, EXPERTS, CHOSEN = 8, 4, 2


class Mlp(nn.Module):
    """Two layers on the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(DIM, width)
        self.fc2 = nn.Linear(width, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Mixture(nn.Module):
    """Experts for tokens."""

    def __init__(self, jitter: float = 0.1) -> None:
        super().__init__()
        self.jitter = jitter
        self.router = nn.Linear(DIM, EXPERTS, bias=False)
        self.experts = nn.ModuleList([Mlp(12) for _ in range(EXPERTS)])
        self.shared = Mlp(10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same shape, and how unevenly each example uses the experts."""
        flat = x.flatten(0, 1)
        routed = flat
        if self.training:
            routed = flat * torch.empty_like(flat).uniform_(1 - self.jitter, 1 + self.jitter)
        chances = self.router(routed).softmax(dim=-1)
        weights, chosen = chances.topk(CHOSEN, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(flat)
        for index, expert in enumerate(self.experts):
            rows, ranks = torch.where(chosen == index)
            if len(rows) == 0:
                continue
            out.index_add_(0, rows, expert(flat[rows]) * weights[rows, ranks, None])
        mixed = out.view_as(x) + self.shared(x)
        usage = functional.one_hot(chosen, EXPERTS).sum(dim=1).to(x.dtype).view(len(x), -1, EXPERTS).mean(dim=1)
        importance = chances.view(len(x), -1, EXPERTS).mean(dim=1)
        return mixed, EXPERTS / CHOSEN * (usage * importance).sum(dim=1)


class Model(nn.Module):
    """Tokens, two mixtures on normalised branches, logits."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, DIM)
        self.norms = nn.ModuleList([nn.LayerNorm(DIM), nn.LayerNorm(DIM)])
        self.mixtures = nn.ModuleList([Mixture(), Mixture()])
        self.norm = nn.LayerNorm(DIM)
        self.readout = nn.Linear(DIM, 20)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """Logits, and the sum of the mixtures' unevenness."""
        x = self.tokens(tokens)
        balance = torch.zeros((), dtype=x.dtype, device=x.device)
        for norm, mixture in zip(self.norms, self.mixtures, strict=True):
            y, uneven = mixture(norm(x))
            x = x + y
            balance = balance + uneven
        return {"logits": self.readout(self.norm(x)), "balance": balance}


def build() -> nn.Module:
    """The network."""
    return Model()
