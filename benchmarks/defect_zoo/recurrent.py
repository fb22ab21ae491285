"""A sequence classifier: embedding, bidirectional LSTM, GRU, the last step's state."""

import torch
from torch import Tensor, nn

INPUT = ["B,9:int64<30"]


class Recurrent(nn.Module):
    """Two recurrent layers of the library."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 10, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(20, 16, num_layers=2, batch_first=True, dropout=0.2)
        self.norm = nn.LayerNorm(16)
        self.fc = nn.Linear(32, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of whole sequences."""
        x = self.embed(tokens)  # (B, T, 12)
        x, _ = self.lstm(x)  # (B, T, 20)
        x, state = self.gru(x)  # (B, T, 16), (2, B, 16)
        last = self.norm(state[-1])
        logits: Tensor = self.fc(torch.cat([last, x.mean(dim=1)], dim=1))
        return logits


def build() -> nn.Module:
    """The network."""
    return Recurrent()
