"""Networks written as people write them who don't use a library's: held against the library's."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from pair_zoo.networks import planted

# ------------------------------------------------------------------------------------------- GPT-2, as in nanoGPT


class CausalSelfAttention(nn.Module):
    """One linear layer for queries, keys and values, in nanoGPT's way."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.n_head, self.scale, self.is_causal = n_head, 1 / math.sqrt(n_embd // n_head), True

    def forward(self, x: Tensor) -> Tensor:
        """Attend to the tokens so far."""
        batch, time, width = x.shape
        q, k, v = (
            one.view(batch, time, self.n_head, width // self.n_head).transpose(1, 2)
            for one in self.c_attn(x).split(width, dim=2)
        )  # (B, heads, T, width/heads) each
        att = (q @ k.transpose(-2, -1)) * self.scale
        if self.is_causal:
            att = att.masked_fill(torch.ones(time, time).tril() == 0, float("-inf"))
        y = (att.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width)
        out: Tensor = self.c_proj(y)
        return out


class Block(nn.Module):
    """Attention and a perceptron, each behind a layer norm."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention(n_embd, n_head)
        self.c_fc, self.c_proj = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)
        self.gelu = nn.GELU(approximate="tanh")

    def forward(self, x: Tensor) -> Tensor:
        """Add both to the shortcut."""
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.c_proj(self.gelu(self.c_fc(self.ln_2(x))))
        return out


class GPT(nn.Module):
    """A language model whose head is its embedding. Forward: (B, T) int64 -> (B, T, vocab_size)."""

    def __init__(
        self, vocab_size: int, block_size: int, n_layer: int, n_head: int, n_embd: int, *, tied: bool = True
    ) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the logits of the next tokens."""
        x = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1]))
        for block in self.h:
            x = block(x)
        logits: Tensor = self.lm_head(self.ln_f(x))
        return logits


def nano_gpt(*, tied: bool = True, plant: str = "") -> nn.Module:
    """Build a small GPT; `mask` lets the last block see the future."""
    network = GPT(99, 64, 2, 4, 32, tied=tied)
    if plant == "mask":
        network.h[-1].attn.is_causal = False  # type: ignore[union-attr]
        return network
    return planted(network, plant)


# ------------------------------------------------------------------------------------------- Llama, as Meta has it


class RMSNorm(nn.Module):
    """Root mean square norm."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scale by the root mean square of the channels."""
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class LlamaLayer(nn.Module):
    """A layer with rotary embeddings of neighbouring channels."""

    def __init__(self, dim: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, 1 / math.sqrt(dim // heads)
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.w1, self.w3 = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.attention_norm, self.ffn_norm = RMSNorm(dim, eps), RMSNorm(dim, eps)
        self.act = nn.SiLU()

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        """Add attention and a gated perceptron to the shortcut."""
        batch, time, dim = x.shape
        y = self.attention_norm(x)
        q, k, v = (w(y).view(batch, time, self.heads, -1).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        scores = rotated(q, angles) @ rotated(k, angles).transpose(-2, -1) * self.scale
        scores = scores + torch.full((time, time), float("-inf")).triu(1)
        x = x + self.wo((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, dim))
        y = self.ffn_norm(x)
        out: Tensor = x + self.w2(self.act(self.w1(y)) * self.w3(y))
        return out


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pairs of neighbouring channels."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Llama(nn.Module):
    """Forward: (B, T) int64 -> (B, T, vocab)."""

    def __init__(self, vocab: int, dim: int, layers: int, heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(LlamaLayer(dim, heads, hidden, eps) for _ in range(layers))
        self.norm = RMSNorm(dim, eps)
        self.output = nn.Linear(dim, vocab, bias=False)
        self._frequencies = [10000.0 ** (-2 * i * heads / dim) for i in range(dim // heads // 2)]

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the logits of the next tokens."""
        x = self.tok_embeddings(input_ids)
        angles = torch.arange(input_ids.shape[1])[:, None] * torch.tensor(self._frequencies)
        for layer in self.layers:
            x = layer(x, angles)
        logits: Tensor = self.output(self.norm(x))
        return logits


def llama(plant: str = "") -> nn.Module:
    """Build a small Llama."""
    return planted(Llama(99, 32, 2, 4, 64, 1e-6), plant)


# ------------------------------------------------------------------------------------------- attention


class SeparateAttention(nn.Module):
    """Attention with a linear layer each for queries, keys and values."""

    def __init__(self, dim: int, heads: int, order: str = "qkv") -> None:
        super().__init__()
        self.heads, self.scale, self.order = heads, 1 / math.sqrt(dim // heads), order
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all tokens."""
        layers = {"q": self.to_q, "k": self.to_k, "v": self.to_v}
        heads = {one: layers[one](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in self.order}
        scores = heads["q"] @ heads["k"].transpose(-2, -1) * self.scale
        out: Tensor = self.to_out((scores.softmax(-1) @ heads["v"]).transpose(1, 2).flatten(2))
        return out


class FusedAttention(nn.Module):
    """torch's own, of one input."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all tokens."""
        out: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return out


class HeadwiseAttention(nn.Module):
    """Attention whose one layer has queries, keys and values head by head, as GPT-NeoX has them."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, 1 / math.sqrt(dim // heads)
        self.query_key_value, self.dense = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all tokens."""
        q, k, v = self.query_key_value(x).unflatten(-1, (self.heads, 3, -1)).transpose(1, 2).unbind(3)
        scores = q @ k.transpose(-2, -1) * self.scale
        out: Tensor = self.dense((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return out


class Encoder(nn.Module):
    """torch's encoder layer, written out with separate attention."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention, self.drop = SeparateAttention(dim, heads), nn.Dropout(0.0)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.up, self.act, self.down = nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise behind each shortcut."""
        x = self.norm1(x + self.attention(x))
        out: Tensor = self.norm2(x + self.down(self.act(self.up(x))))
        return out


_ATTENTION: Final = {
    "separate": SeparateAttention, "fused": FusedAttention, "headwise": HeadwiseAttention,
}  # fmt: skip


def attention(kind: str, order: str = "", plant: str = "") -> nn.Module:
    """Build an attention of one of three kinds."""
    return planted(_ATTENTION[kind](32, 4, **({"order": order} if order else {})), plant)


def encoder(plant: str = "") -> nn.Module:
    """Build an encoder layer."""
    return planted(Encoder(32, 4, 64), plant)


def torch_encoder() -> nn.Module:
    """Build torch's."""
    return nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
