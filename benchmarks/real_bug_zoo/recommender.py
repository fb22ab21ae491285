"""Attention between the fields of a record, as in AutoInt."""

from torch import Tensor, nn

INPUT = ["B,6:int64<20"]
DIM, HEADS, FIELDS = 8, 2, 6


class Interaction(nn.Module):
    """Multi-head attention between the fields."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM, bias=False)
        self.key = nn.Linear(DIM, DIM, bias=False)
        self.value = nn.Linear(DIM, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, D) -> (B, F, D)."""
        q, k, v = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        weights = (q @ k.mT / (DIM / HEADS) ** 0.5).softmax(dim=-1)
        mixed: Tensor = (weights @ v).transpose(1, 2).reshape(len(x), FIELDS, DIM)
        return mixed

    def split(self, x: Tensor) -> Tensor:
        """(B, F, D) -> (B, H, F, D / H)."""
        return x.view(len(x), FIELDS, HEADS, DIM // HEADS).transpose(1, 2)


class Net(nn.Module):
    """Embedding, interaction beside a skip, score."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, DIM)
        self.interaction = Interaction()
        self.skip = nn.Linear(DIM, DIM)
        self.score = nn.Linear(FIELDS * DIM, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """The logit of a click."""
        x = self.embed(ids)
        logit: Tensor = self.score((self.interaction(x) + self.skip(x)).relu().flatten(1))
        return logit


def build() -> nn.Module:
    """The network."""
    return Net()
