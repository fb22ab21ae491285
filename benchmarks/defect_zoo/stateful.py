"""A tracker of short films: a convolutional LSTM, cut every two frames, and a GRU cell until each film's end."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,5,2,6,6", "B:int64<5"]  # frames; the index of the last one that counts
CHANNELS, HIDDEN, CUT = 4, 8, 2

State = tuple[Tensor, Tensor]


class ConvLSTMCell(nn.Module):
    """An LSTM cell whose products are convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 + CHANNELS, 4 * CHANNELS, kernel_size=3, padding=1)

    def forward(self, x: Tensor, state: State) -> State:
        """The next hidden state and cell."""
        hidden, cell = state
        i, f, o, g = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(f + 1.0) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class Tracker(nn.Module):
    """Scores after each frame, and the state at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = ConvLSTMCell()
        self.norm = nn.LayerNorm(CHANNELS)
        self.gru = nn.GRUCell(CHANNELS, HIDDEN)
        self.score = nn.Linear(HIDDEN, 3)

    def look(self, film: Tensor) -> Tensor:
        """Features of each frame: (B, T, C)."""
        hidden = film.new_zeros(len(film), CHANNELS, *film.shape[-2:])
        cell = torch.zeros_like(hidden)
        features = []
        for step, frame in enumerate(film.unbind(1)):
            if step and step % CUT == 0:
                hidden, cell = hidden.detach(), cell.detach()
            hidden, cell = self.cell(frame, (hidden, cell))
            features.append(hidden.mean(dim=(2, 3)))
        return torch.stack(features, dim=1)

    def forward(self, film: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, T, 3), nought after the end, and the last state (B, H)."""
        features = self.norm(self.look(film))
        state = film.new_zeros(len(film), HIDDEN)
        scores = []
        for step in range(film.shape[1]):
            going = (last >= step).unsqueeze(1)  # (B, 1)
            state = torch.where(going, self.gru(features[:, step], state), state)
            scores.append(self.score(functional.dropout(state, 0.2, self.training)) * going)
        return torch.stack(scores, dim=1), state


def build() -> nn.Module:
    """The network."""
    return Tracker()
