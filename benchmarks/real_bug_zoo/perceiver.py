"""A few latent vectors that attend to a long input, as in Perceiver IO."""

import torch
from torch import Tensor, nn

INPUT = ["B,12,6"]
DIM, LATENTS, HEADS = 8, 3, 2


class Attention(nn.Module):
    """Multi-head attention of one sequence on another."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(DIM, DIM)
        self.k = nn.Linear(6, DIM)
        self.v = nn.Linear(6, DIM)
        self.out = nn.Linear(DIM, DIM)
        self.scale = (DIM // HEADS) ** -0.5

    def forward(self, latents: Tensor, x: Tensor) -> Tensor:
        """(B, L, D), (B, N, 6) -> (B, L, D)."""
        q = self.q(latents).unflatten(2, (HEADS, -1)).transpose(1, 2)
        k, v = (layer(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for layer in (self.k, self.v))
        attention = q @ k.transpose(-2, -1) * self.scale
        mixed: Tensor = self.out((attention.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
        return mixed


class Net(nn.Module):
    """Latents, attention, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(0.02 * torch.randn(LATENTS, DIM))
        self.attention = Attention()
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        latents = self.latents.expand(len(x), -1, -1)
        latents = self.norm(latents + self.attention(latents, x))
        logits: Tensor = self.head(latents.mean(dim=1))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
