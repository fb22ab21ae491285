"""Several heads, each of residual blocks, that guess the next tokens at once, as in Medusa."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,7:int64<20"]
DIM, VOCABULARY = 12, 20


class Block(nn.Module):
    """A layer beside a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + functional.silu(self.linear(x))


def head() -> nn.Module:
    """Two blocks and logits."""
    return nn.Sequential(*[Block() for _ in range(2)], nn.Linear(DIM, VOCABULARY, bias=False))


class Net(nn.Module):
    """A recurrent base and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, DIM)
        self.base = nn.GRU(DIM, DIM, batch_first=True)
        self.heads = nn.ModuleList([head(), head()])

    def forward(self, ids: Tensor) -> Tensor:
        """(B, heads, T, vocabulary)."""
        x, _ = self.base(self.embed(ids))
        return torch.stack([guess(x) for guess in self.heads], dim=1)


def build() -> nn.Module:
    """The network."""
    return Net()
