"""A graph network: a fixed skeleton as a sparse matrix, then neighbours given by index, with padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

NODES, DIM, HEADS = 7, 8, 2
INPUT = ["B,7,5", "B,7,3:int64<16", "B,7:int64<2"]  # features; neighbours, from 7 on none; which nodes there are
BONES = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (1, 6)]


def skeleton() -> Tensor:
    """The adjacency with loops, divided by the roots of both degrees."""
    dense = torch.eye(NODES)
    for a, b in BONES:
        dense[a, b] = dense[b, a] = 1.0
    root = dense.sum(dim=1).rsqrt()
    return (root[:, None] * dense * root).to_sparse()


class SkeletonConv(nn.Module):
    """Mix along the bones, then features."""

    adjacency: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("adjacency", skeleton(), persistent=False)
        self.linear = nn.Linear(5, DIM, bias=False)
        self.bias = nn.Parameter(torch.zeros(DIM))
        self.norm = nn.BatchNorm1d(DIM)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, 5) -> (B, N, D)."""
        x = self.linear(x)
        flat = x.transpose(0, 1).flatten(1)  # (N, B * D)
        x = torch.sparse.mm(self.adjacency, flat).unflatten(1, (-1, DIM)).transpose(0, 1) + self.bias
        return functional.relu(self.norm(x.transpose(1, 2)).transpose(1, 2))


class MeanAggregation(nn.Module):
    """A node's own features, and the mean of its neighbours'."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Linear(DIM, DIM)
        self.other = nn.Linear(DIM, DIM, bias=False)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D), of length one each."""
        valid = (neighbours < NODES).unsqueeze(-1)  # (B, N, K, 1)
        padded = functional.pad(x, (0, 0, 0, 1))  # (B, N + 1, D)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        messages = padded[rows, neighbours]  # (B, N, K, D)
        mean = (messages * valid).sum(dim=2) / valid.sum(dim=2).clamp(min=1)
        return functional.normalize(functional.elu(self.own(x) + self.other(mean)), dim=-1)


class EdgeAttention(nn.Module):
    """A share for each neighbour, by what both ends say."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(DIM, DIM, bias=False)
        self.source = nn.Linear(DIM, HEADS, bias=False)
        self.target = nn.Linear(DIM, HEADS, bias=False)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        valid = (neighbours < NODES).unsqueeze(-1)
        index = neighbours.clamp(max=NODES - 1)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        value = self.value(x)
        scores = self.target(x).unsqueeze(2) + self.source(x)[rows, index]  # (B, N, K, H)
        scores = functional.leaky_relu(scores, 0.2).masked_fill(~valid, torch.finfo(x.dtype).min)
        shares = self.dropout(scores.softmax(dim=2) * valid)
        parts = value[rows, index].unflatten(-1, (HEADS, -1))  # (B, N, K, H, D / H)
        mixed: Tensor = (shares.unsqueeze(-1) * parts).sum(dim=2)
        return x + mixed.flatten(2)


class GraphNet(nn.Module):
    """Three ways to mix, and a readout of the nodes that there are."""

    def __init__(self) -> None:
        super().__init__()
        self.skeleton = SkeletonConv()
        self.mean = MeanAggregation()
        self.attention = EdgeAttention()
        self.head = nn.Linear(2 * DIM, 3)

    def forward(self, x: Tensor, neighbours: Tensor, mask: Tensor) -> Tensor:
        """Logits of graphs."""
        x, neighbours = self.skeleton(x), neighbours.clamp(max=NODES)
        x = self.mean(x, neighbours)
        x = self.attention(x, neighbours)
        there = mask.bool().unsqueeze(-1)  # (B, N, 1)
        mean = (x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        largest = torch.where(there, x, -torch.inf).amax(dim=1)
        largest = torch.where(there.any(dim=1), largest, 0.0)
        logits: Tensor = self.head(torch.cat([mean, largest], dim=1))
        return logits


def build() -> nn.Module:
    """The network."""
    return GraphNet()
