"""A classifier of sets whose modules hold what modules of projects hold: settings, counters, names, lists."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,6,4", "B,6:int64<3"]  # members, and their kind


@dataclass(frozen=True)
class Settings:
    """What can be chosen."""

    width: int = 8
    heads: int = 2
    kinds: int = 3
    rate: float = 0.1


class Pool(nn.Module):
    """A few learnt queries look at all members."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.queries = nn.Parameter(torch.randn(2, settings.width))
        self.key = nn.Linear(settings.width, settings.width)
        self.value = nn.Linear(settings.width, settings.width)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, 2, D)."""
        heads = self.settings.heads
        q = self.queries.view(2, heads, -1).transpose(0, 1)  # (H, 2, D / H)
        k = self.key(x).unflatten(2, (heads, -1)).transpose(1, 2)  # (B, H, N, D / H)
        v = self.value(x).unflatten(2, (heads, -1)).transpose(1, 2)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)
        weights = functional.dropout(weights, self.settings.rate, self.training)
        pooled: Tensor = self.norm((weights @ v).transpose(1, 2).flatten(2))
        return pooled


class SetNet(nn.Module):
    """Embed members, pool, classify."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.act = nn.GELU()
        self.embed = nn.Linear(4, settings.width)
        self.kind = nn.Embedding(settings.kinds, settings.width)
        self.mix = nn.Linear(settings.width, settings.width)
        self.pool = Pool(settings)
        self.head = nn.Linear(2 * settings.width, 3)

    def forward(self, members: Tensor, kinds: Tensor) -> Tensor:
        """Logits."""
        x = self.act(self.embed(members) + self.kind(kinds))
        x = x + self.act(self.mix(x))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits


def build() -> nn.Module:
    """The network."""
    return SetNet(Settings())
