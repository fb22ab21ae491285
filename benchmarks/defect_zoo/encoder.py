"""A post-norm encoder with padding mask: the library's attention, learnt positions, masked mean."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,7:int64<20"]
DIM = 16


class EncoderLayer(nn.Module):
    """Attention and MLP, each followed by skip and norm."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(DIM, 4, batch_first=True)
        self.norm1 = nn.LayerNorm(DIM, eps=1e-12)
        self.fc1 = nn.Linear(DIM, 32)
        self.fc2 = nn.Linear(32, DIM)
        self.norm2 = nn.LayerNorm(DIM, eps=1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, is_padding: Tensor) -> Tensor:
        """The same shape."""
        mixed, _ = self.attention(x, x, x, key_padding_mask=is_padding, need_weights=False)
        x = self.norm1(x + self.drop(mixed))
        y = self.fc2(functional.gelu(self.fc1(x)))
        out: Tensor = self.norm2(x + self.drop(y))
        return out


class Encoder(nn.Module):
    """Token and position embeddings, two layers, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, DIM)
        self.positions = nn.Embedding(7, DIM)
        self.norm = nn.LayerNorm(DIM, eps=1e-12)
        self.layers = nn.ModuleList([EncoderLayer(), EncoderLayer()])
        self.pooler = nn.Linear(DIM, DIM)
        self.topic = nn.Linear(DIM, 4)
        self.tags = nn.Linear(DIM, 3)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """A topic for the sequence and a tag for each token; tokens below 8 are padding behind the first."""
        is_padding = tokens < 8
        is_padding[:, 0] = False
        x = self.tokens(tokens) + self.positions(torch.arange(7, device=tokens.device))
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, is_padding)
        kept = (~is_padding).to(x.dtype)[..., None]  # (B, T, 1)
        mean = (x * kept).sum(dim=1) / kept.sum(dim=1)
        return {"topic": self.topic(torch.tanh(self.pooler(mean))), "tags": self.tags(x)}


def build() -> nn.Module:
    """The network."""
    return Encoder()
