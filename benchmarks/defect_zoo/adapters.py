"""A frozen encoder with low-rank adapters on queries and values, and learnt scales inside its MLPs."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,6:int64<20"]
DIM, HEADS, RANK, ALPHA = 16, 2, 3, 6.0


class Adapted(nn.Module):
    """A linear layer, and a product of two narrow ones beside it that starts at 0."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.base = nn.Linear(in_features, out_features)
        self.down = nn.Parameter(torch.randn(RANK, in_features) / in_features**0.5)
        self.up = nn.Parameter(torch.zeros(out_features, RANK))
        self.scale = ALPHA / RANK

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        out: Tensor = self.base(x) + self.scale * (x @ self.down.T @ self.up.T)
        return out


class Block(nn.Module):
    """Attention and MLP, each on a normalised branch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.query = Adapted(DIM, DIM)
        self.key = nn.Linear(DIM, DIM)
        self.value = Adapted(DIM, DIM)
        self.out = nn.Linear(DIM, DIM)
        self.norm2 = nn.LayerNorm(DIM)
        self.fc1 = nn.Linear(DIM, 24)
        self.gain = nn.Parameter(torch.ones(24))
        self.fc2 = nn.Linear(24, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = self.norm1(x)
        q, k, v = (self.heads(one) for one in (self.query(y), self.key(y), self.value(y)))
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        y = functional.gelu(self.fc1(self.norm2(x))) * self.gain
        out: Tensor = x + self.fc2(y)
        return out

    def heads(self, x: Tensor) -> Tensor:
        """(B, T, DIM) -> (B, heads, T, DIM / heads)."""
        return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)


class Classifier(nn.Module):
    """Tokens to a class; all is frozen but adapters, gains and the head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, DIM)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 5)
        for name, parameter in self.named_parameters():
            parameter.requires_grad = name.endswith(("down", "up", "gain")) or name.startswith("head")

    def forward(self, tokens: Tensor) -> Tensor:
        """One logit for each class."""
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x).mean(dim=1))
        return out


def build() -> nn.Module:
    """The network."""
    return Classifier()
