"""Attention of a decoder's steps on an encoder's, all rows of scores below each other."""

import torch
from torch import Tensor, nn

INPUT = ["B,5,8", "B,7,8"]


class Attention(nn.Module):
    """Dot products, and a projection of what was found beside the query."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(dim, dim, bias=False)
        self.linear_out = nn.Linear(2 * dim, dim, bias=False)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B, T, D), (B, S, D) -> (B, T, D)."""
        batch, num_steps, _ = query.shape
        scores = self.linear_in(query) @ context.mT  # (B, T, S)
        weights = scores.view(batch * num_steps, -1).softmax(dim=-1).view(batch, num_steps, -1)
        mixed: Tensor = self.linear_out(torch.cat([weights @ context, query], dim=-1))
        return mixed.tanh()


class Net(nn.Module):
    """Attention and logits."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention(8)
        self.head = nn.Linear(8, 12)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B, T, vocabulary)."""
        logits: Tensor = self.head(self.attention(query, context))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
