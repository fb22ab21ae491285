"""A decoder with rotary positions, a gated MLP and tied embeddings, as in Gemma."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,10:int64<24"]
VOCABULARY, DIM, HEADS = 24, 16, 2
ROPE_THETA, ATTENTION_BIAS = 5_000_000.0, False


def rotate(x: Tensor) -> Tensor:
    """(B, H, T, D) turned by angles that grow with the position."""
    half = x.shape[-1] // 2
    rates = ROPE_THETA ** -(torch.arange(half, dtype=x.dtype) / half)
    angles = torch.arange(x.shape[2], dtype=x.dtype)[:, None] * rates  # (T, D / 2)
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()], dim=-1)


class Attention(nn.Module):
    """Causal attention."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.q_proj = nn.Linear(DIM, DIM, bias=bias)
        self.k_proj = nn.Linear(DIM, DIM, bias=bias)
        self.v_proj = nn.Linear(DIM, DIM, bias=bias)
        self.o_proj = nn.Linear(DIM, DIM, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = (
            layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        x = functional.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        mixed: Tensor = self.o_proj(x.transpose(1, 2).flatten(2))
        return mixed


class Layer(nn.Module):
    """Attention and a gated MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(DIM, eps=1e-6)
        self.attention = Attention(bias=ATTENTION_BIAS)
        self.norm2 = nn.RMSNorm(DIM, eps=1e-6)
        self.gate = nn.Linear(DIM, 24, bias=False)
        self.up = nn.Linear(DIM, 24, bias=False)
        self.down = nn.Linear(24, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        out: Tensor = x + self.down(functional.gelu(self.gate(y), approximate="tanh") * self.up(y))
        return out


class Net(nn.Module):
    """Embedding, two layers, logits by the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, DIM)
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.norm = nn.RMSNorm(DIM, eps=1e-6)
        self.lm_head = nn.Linear(DIM, VOCABULARY, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, vocabulary)."""
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.lm_head(self.norm(x))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
