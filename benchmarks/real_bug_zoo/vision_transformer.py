"""A vision transformer with the library's attention and dropouts by function."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]
DIM, HEADS, PATCH = 16, 2, 4


class Attention(nn.Module):
    """Multi-head attention of width 16 in two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)
        self.dropout = 0.1
        dim_head = DIM // HEADS
        self.scale = dim_head**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        q, k, v = self.qkv(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        x = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        mixed: Tensor = self.proj(x.transpose(1, 2).flatten(2))
        return mixed


class Block(nn.Module):
    """Attention and MLP, each behind a norm and beside a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(DIM)
        self.fc1 = nn.Linear(DIM, 2 * DIM)
        self.fc2 = nn.Linear(2 * DIM, DIM)

    def forward(self, x: Tensor, *, train: bool) -> Tensor:
        """The same shape."""
        x = x + self.attn(self.norm1(x))
        normed = self.norm2(x)
        hidden = functional.dropout(functional.gelu(self.fc1(normed)), 0.1, train)
        out: Tensor = x + self.fc2(hidden)
        return out


class Net(nn.Module):
    """Patches, class token, two blocks, head."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, DIM, kernel_size=PATCH, stride=PATCH)
        self.cls = nn.Parameter(torch.zeros(1, 1, DIM))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x, train=self.training)
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
