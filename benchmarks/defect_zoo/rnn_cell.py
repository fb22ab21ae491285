"""An LSTM written by hand, step by step, with a plain recurrent cell on top."""

import torch
from torch import Tensor, nn

INPUT = ["B,7,5"]
HIDDEN = 8


class LstmCell(nn.Module):
    """One step of an LSTM; the gates are input, forget, cell and output."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.input = nn.Linear(in_features, 4 * HIDDEN)
        self.hidden = nn.Linear(HIDDEN, 4 * HIDDEN, bias=False)
        nn.init.zeros_(self.input.bias)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The next hidden and cell state."""
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, dim=1)
        c = torch.sigmoid(f + 1.0) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, c


class RnnCell(nn.Module):
    """One step of Elman's network."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(HIDDEN, HIDDEN)
        self.hidden = nn.Linear(HIDDEN, HIDDEN, bias=False)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """The next hidden state."""
        return torch.tanh(self.input(x) + self.hidden(h))


class Loop(nn.Module):
    """Both cells at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = LstmCell(5)
        self.rnn = RnnCell()
        self.start = nn.Parameter(torch.zeros(HIDDEN))
        self.out = nn.Linear(HIDDEN, 3)

    def forward(self, x: Tensor) -> Tensor:
        """One prediction for each step."""
        h = c = x.new_zeros(len(x), HIDDEN)
        top = self.start.expand(len(x), HIDDEN)
        outputs = []
        for step in range(x.shape[1]):
            h, c = self.lstm(x[:, step], h, c)
            top = self.rnn(h, top)
            outputs.append(self.out(top))
        return torch.stack(outputs, dim=1)


def build() -> nn.Module:
    """The network."""
    return Loop()
