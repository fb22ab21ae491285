"""A speech translator that takes keywords: frames and their mask are encoded, tokens attend to them; padding by id."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["src=B,9,5", "tgt=B,6:int64<20", "src_mask=B,9:bool"]
DIM, HEADS, PAD = 16, 4, 0


def sinusoids(length: int, width: int) -> Tensor:
    """A table of sines and cosines, side by side."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2 - 1))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    """Attention of one sequence to another; `mask` is true where it's allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)
        self.key = nn.Linear(DIM, DIM, bias=False)
        self.value = nn.Linear(DIM, DIM)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """The same shape as x."""
        q, k, v = self.split(self.query(x)), self.split(self.key(context)), self.split(self.value(context))
        scores = q @ k.transpose(-2, -1) / math.sqrt(DIM // HEADS)
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        mixed = scores.softmax(dim=-1) @ v  # (B, heads, T, DIM / heads)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def split(self, x: Tensor) -> Tensor:
        """(B, T, DIM) -> (B, heads, T, DIM / heads)."""
        return x.unflatten(2, (HEADS, -1)).transpose(1, 2)  # type: ignore[no-any-return, no-untyped-call]


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each on a normalised branch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 32), nn.GELU(), nn.Linear(32, DIM))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The same shape."""
        y = self.norm1(x)
        x = x + self.drop(self.attention(y, y, mask))
        out: Tensor = x + self.drop(self.mlp(self.norm2(x)))
        return out


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the encoder, and MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.cross = Attention()
        self.norm3 = nn.LayerNorm(DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 32), nn.GELU(), nn.Linear(32, DIM))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor, memory_mask: Tensor) -> Tensor:
        """The same shape as x."""
        y = self.norm1(x)
        x = x + self.drop(self.attention(y, y, mask))
        x = x + self.drop(self.cross(self.norm2(x), memory, memory_mask))
        out: Tensor = x + self.drop(self.mlp(self.norm3(x)))
        return out


class Translator(nn.Module):
    """Frames to tokens, with the readout tied to the embedding."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(5, DIM, kernel_size=3, padding=1)
        self.register_buffer("positions", sinusoids(9, DIM))
        self.encoder = nn.ModuleList([EncoderLayer()])
        self.encoder_norm = nn.LayerNorm(DIM)
        self.tokens = nn.Embedding(20, DIM, padding_idx=PAD)
        self.steps = nn.Parameter(torch.zeros(6, DIM))
        self.decoder = nn.ModuleList([DecoderLayer(), DecoderLayer()])
        self.decoder_norm = nn.LayerNorm(DIM)

    def forward(self, src: Tensor, tgt: Tensor, src_mask: Tensor) -> dict[str, Tensor]:
        """The logits of the next tokens, and what the encoder made of the frames; src_mask is true where frames are."""
        allowed = src_mask[:, None, None, :]
        memory = functional.gelu(self.stem(src.transpose(1, 2))).transpose(1, 2) + self.positions
        for layer in self.encoder:
            memory = layer(memory, allowed)
        memory = self.encoder_norm(memory)
        causal = torch.ones(6, 6, dtype=torch.bool, device=tgt.device).tril()
        mask = causal & (tgt != PAD)[:, None, None, :]
        x = math.sqrt(DIM) * self.tokens(tgt) + self.steps
        for layer in self.decoder:
            x = layer(x, memory, mask, allowed)
        logits = functional.linear(self.decoder_norm(x), self.tokens.weight)
        return {"logits": logits, "encoded": memory}


def build() -> nn.Module:
    """The network."""
    return Translator()
