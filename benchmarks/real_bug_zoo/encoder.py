"""The paper's encoder with the norm first: sinusoids, a padding mask, attention by hand."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,9:int64<6"]
DIM, HEADS, PADDING = 16, 2, 0


def sinusoids(length: int) -> Tensor:
    """Sine and cosine in turn, two of each rate."""
    index = torch.arange(DIM)
    angles = torch.arange(length)[:, None] / 10000 ** (index // 2 * 2 / DIM)
    table = torch.zeros(length, DIM)
    table[:, 0::2] = angles[:, 0::2].sin()
    table[:, 1::2] = angles[:, 1::2].cos()
    return table


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), without a look at what is padded."""
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3, HEADS, DIM // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mask = ~padded[:, None, None, :]
        values = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, T, D / H)
        values = values.permute(0, 2, 1, 3)
        mixed: Tensor = self.out(values.reshape(batch, length, DIM))
        return mixed


class Layer(nn.Module):
    """Attention and MLP, each behind a norm and beside a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.linear1 = nn.Linear(DIM, 24)
        self.linear2 = nn.Linear(24, DIM)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        """The same shape."""
        normed = self.norm1(x)
        x = x + self.attention(normed, padded)
        out: Tensor = x + self.linear2(functional.relu(self.linear1(self.norm2(x))))
        return out


class Net(nn.Module):
    """Embedding, positions, two layers, the first token's class."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, DIM)
        self.register_buffer("positions", sinusoids(9))
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.head = nn.Linear(DIM, 4)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits."""
        padded = ids.eq(PADDING) & (torch.arange(ids.shape[1]) > 0)  # the first token is never padding
        x = functional.dropout(self.embed(ids) + self.positions, 0.1, training=self.training)
        for layer in self.layers:
            x = layer(x, padded)
        logits: Tensor = self.head(x[:, 0])
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
