"""A decoder as language models have it: rotary positions, grouped queries, RMS norm, a gated MLP."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,8:int64<40"]
VOCABULARY, DIM, HEADS, GROUPS, HEAD, LENGTH, BASE = 40, 24, 4, 2, 6, 16, 10_000.0


class RMSNorm(nn.Module):
    """Scale by the root mean square, in at least single precision."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        scale = torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.eps)
        return x * scale * self.weight


class Rotary(nn.Module):
    """Cosines and sines of all positions, no part of a checkpoint."""

    cos: Tensor
    sin: Tensor

    def __init__(self) -> None:
        super().__init__()
        rates = BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float32) / HEAD)
        angles = torch.outer(torch.arange(LENGTH, dtype=torch.float32), rates)  # (T, D / 2)
        angles = torch.cat([angles, angles], dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, length: int) -> tuple[Tensor, Tensor]:
        """Those of the first positions."""
        return self.cos[:length], self.sin[:length]


def rotate_half(x: Tensor) -> Tensor:
    """A quarter turn of each pair (i, i + D / 2)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn queries or keys by their positions' angles."""
    return x * cos + rotate_half(x) * sin


class Attention(nn.Module):
    """Two queries share each key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(DIM, HEADS * HEAD, bias=False)
        self.k_proj = nn.Linear(DIM, GROUPS * HEAD, bias=False)
        self.v_proj = nn.Linear(DIM, GROUPS * HEAD, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD, DIM, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        length = x.shape[1]
        q = self.q_proj(x).unflatten(2, (HEADS, HEAD)).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).unflatten(2, (GROUPS, HEAD)).transpose(1, 2)
        v = self.v_proj(x).unflatten(2, (GROUPS, HEAD)).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k = k.repeat_interleave(HEADS // GROUPS, dim=1)
        v = v.repeat_interleave(HEADS // GROUPS, dim=1)
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD)  # (B, H, T, T)
        mask = torch.full((length, length), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device).triu(1)
        weights = (scores + mask).softmax(dim=-1)
        mixed: Tensor = self.o_proj((weights @ v).transpose(1, 2).flatten(2))
        return mixed


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(DIM, 32, bias=False)
        self.up_proj = nn.Linear(DIM, 32, bias=False)
        self.down_proj = nn.Linear(32, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = RMSNorm(DIM)
        self.attention = Attention()
        self.post_norm = RMSNorm(DIM)
        self.mlp = MLP()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The same shape."""
        x = x + self.attention(self.input_norm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_norm(x))
        return out


class Decoder(nn.Module):
    """Embedding, two blocks, norm, head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, DIM)
        self.rotary = Rotary()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = RMSNorm(DIM)
        self.head = nn.Linear(DIM, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token at each step."""
        x = self.embed(tokens)
        cos, sin = self.rotary(tokens.shape[1])
        for block in self.blocks:
            x = block(x, cos, sin)
        logits: Tensor = self.head(self.norm(x))
        return logits


def build() -> nn.Module:
    """The network."""
    return Decoder()
