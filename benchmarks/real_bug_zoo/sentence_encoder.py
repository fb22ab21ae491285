"""A sentence encoder with learned positions behind the padding's, and a mean over the tokens, as in RoBERTa."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,9:int64<8"]
DIM, PADDING, BIAS = 16, 1, False


class Layer(nn.Module):
    """Attention of one head and MLP, each with the norm behind the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM, bias=BIAS)
        self.key = nn.Linear(DIM, DIM, bias=BIAS)
        self.value = nn.Linear(DIM, DIM, bias=BIAS)
        self.norm1 = nn.LayerNorm(DIM, eps=1e-12)
        self.linear1 = nn.Linear(DIM, 24)
        self.linear2 = nn.Linear(24, DIM)
        self.norm2 = nn.LayerNorm(DIM, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The same shape."""
        scores = self.query(x) @ self.key(x).mT / DIM**0.5
        weights = scores.masked_fill(~mask[:, None, :], -1e4).softmax(dim=-1)
        x = self.norm1(x + weights @ self.value(x))
        out: Tensor = self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))
        return out


class Net(nn.Module):
    """Embeddings, one layer, the mean of what isn't padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(8, DIM, padding_idx=PADDING)
        self.positions = nn.Embedding(12, DIM, padding_idx=PADDING)
        self.norm = nn.LayerNorm(DIM, eps=1e-12)
        self.layer = Layer()

    def forward(self, ids: Tensor) -> Tensor:
        """(B, D)."""
        mask = ids.ne(PADDING) | (torch.arange(ids.shape[1]) == 0)  # the first token is never padding
        places = torch.arange(ids.shape[1]) + PADDING + 1
        x = self.layer(self.norm(self.words(ids) + self.positions(places)), mask)
        kept = mask[:, :, None].to(x.dtype)
        sentence: Tensor = (x * kept).sum(dim=1) / kept.sum(dim=1)
        return sentence


def build() -> nn.Module:
    """The network."""
    return Net()
