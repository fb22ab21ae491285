"""A causal transformer with sinusoidal positions; its head shares the embedding's weight."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,8:int64<40"]
VOCABULARY, DIM, HEADS = 40, 16, 2


def sinusoids(length: int) -> Tensor:
    """Positions as in the paper, sine and cosine in turn."""
    position = torch.arange(length)[:, None]
    rates = torch.exp(torch.arange(0, DIM, 2) * (-math.log(10000.0) / DIM))
    table = torch.zeros(length, DIM)
    table[:, 0::2] = torch.sin(position * rates)
    table[:, 1::2] = torch.cos(position * rates)
    return table


class CausalAttention(nn.Module):
    """Multi-head attention that doesn't look ahead."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)
        self.key = nn.Linear(DIM, DIM)
        self.value = nn.Linear(DIM, DIM)
        self.out = nn.Linear(DIM, DIM)
        self.register_buffer("mask", torch.ones(8, 8, dtype=torch.bool).tril())

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        scores = q @ k.mT / math.sqrt(DIM / HEADS)  # (B, H, T, T)
        scores = scores.masked_fill(~self.mask, -torch.inf)
        weights = functional.dropout(scores.softmax(dim=-1), 0.1, self.training)
        mixed: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return mixed


class Layer(nn.Module):
    """Attention and a gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attention = CausalAttention()
        self.norm2 = nn.RMSNorm(DIM, eps=1e-6)
        self.gate = nn.Linear(DIM, 24, bias=False)
        self.up = nn.Linear(DIM, 24, bias=False)
        self.down = nn.Linear(24, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        out: Tensor = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return out


class LanguageModel(nn.Module):
    """Embedding, two layers, tied head."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, DIM)
        self.register_buffer("positions", sinusoids(8))
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token at each step."""
        x = self.embed(tokens) * math.sqrt(DIM) + self.positions
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def build() -> nn.Module:
    """The network."""
    return LanguageModel()
