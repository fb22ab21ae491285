"""A text encoder as in T5: bucketed relative positions, shared by its layers; padding masked by the least number."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,9:int64<30", "B,9:int64<2"]
VOCABULARY, DIM, HEADS, BUCKETS, DISTANCE = 30, 16, 4, 8, 16


class Norm(nn.Module):
    """Root mean square, without a shift."""

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.eps))


def bucket(distance: Tensor) -> Tensor:
    """Small distances one by one, large ones by their logarithm; the two directions apart."""
    half = BUCKETS // 2
    side = (distance > 0).long() * half
    distance = distance.abs()
    exact = half // 2
    large = torch.log(distance.float().clamp(min=1) / exact) / math.log(DISTANCE / exact) * (half - exact)
    large = (exact + large.long()).clamp(max=half - 1)
    return side + torch.where(distance < exact, distance, large)


class Attention(nn.Module):
    """Scores are not scaled; a bias for each head and distance is added."""

    def __init__(self, has_bias: bool) -> None:
        super().__init__()
        self.has_bias = has_bias
        self.q = nn.Linear(DIM, DIM, bias=False)
        self.k = nn.Linear(DIM, DIM, bias=False)
        self.v = nn.Linear(DIM, DIM, bias=False)
        self.o = nn.Linear(DIM, DIM, bias=False)
        if has_bias:
            self.relative = nn.Embedding(BUCKETS, HEADS)

    def position_bias(self, length: int) -> Tensor:
        """(1, H, T, T)."""
        place = torch.arange(length)
        values: Tensor = self.relative(bucket(place[None, :] - place[:, None]))  # (T, T, H)
        return values.permute(2, 0, 1).unsqueeze(0)

    def forward(self, x: Tensor, mask: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is mixed, and the bias for the layers that follow."""
        q, k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(3, 2))  # (B, H, T, T)
        if bias is None:
            bias = self.position_bias(x.shape[1]) + mask
        weights = functional.softmax(scores + bias, dim=-1)
        weights = functional.dropout(weights, p=0.1, training=self.training)
        mixed = torch.matmul(weights, v).transpose(1, 2).flatten(2)
        return self.o(mixed), bias


class FeedForward(nn.Module):
    """Gated by GELU, in its approximation."""

    def __init__(self) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(DIM, 20, bias=False)
        self.wi_1 = nn.Linear(DIM, 20, bias=False)
        self.wo = nn.Linear(20, DIM, bias=False)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        hidden = functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x)
        out: Tensor = self.wo(self.dropout(hidden))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each normed first and added."""

    def __init__(self, has_bias: bool) -> None:
        super().__init__()
        self.norm1 = Norm()
        self.attention = Attention(has_bias)
        self.norm2 = Norm()
        self.feed_forward = FeedForward()
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor, mask: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same shape, and the bias."""
        mixed, bias = self.attention(self.norm1(x), mask, bias)
        x = x + self.dropout(mixed)
        x = x + self.dropout(self.feed_forward(self.norm2(x)))
        return x, bias


class Encoder(nn.Module):
    """Embedding, two blocks, and a vector for the whole text."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(VOCABULARY, DIM)
        self.blocks = nn.ModuleList([Block(has_bias=index == 0) for index in range(2)])
        self.final_norm = Norm()
        self.dropout = nn.Dropout(0.1)
        self.project = nn.Linear(DIM, 6)

    def extended_mask(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """0 for what may be seen, the least number for padding: (B, 1, 1, T)."""
        inverted = 1.0 - mask[:, None, None, :].to(dtype)
        return inverted * torch.finfo(dtype).min

    def forward(self, tokens: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """States of all tokens, and the mean over those that are no padding."""
        x = self.dropout(self.shared(tokens))
        extended, bias = self.extended_mask(mask, x.dtype), None
        for block in self.blocks:
            x, bias = block(x, extended, bias)
        x = self.dropout(self.final_norm(x))
        kept = mask.unsqueeze(-1).to(x.dtype)
        pooled = (x * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1e-9)
        return {"last_hidden_state": x, "pooled": functional.normalize(self.project(pooled), dim=-1)}


def build() -> nn.Module:
    """The network."""
    return Encoder()
