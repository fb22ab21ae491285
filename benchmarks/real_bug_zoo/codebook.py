"""Two quantizers that share a codebook, a moving average of what was assigned to each code."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,5,8"]
CODES, DIM, DECAY = 6, 4, 0.8


class Codebook(nn.Module):
    """Codes and their moving averages."""

    codes: Tensor
    sums: Tensor
    sizes: Tensor

    def __init__(self) -> None:
        super().__init__()
        codes = torch.randn(CODES, DIM)
        self.register_buffer("codes", codes)
        self.register_buffer("sums", codes.clone())
        self.register_buffer("sizes", torch.ones(CODES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest codes, and which they are."""
        nearest = torch.cdist(x.detach(), self.codes.expand(len(x), -1, -1)).argmin(dim=-1)
        return self.codes[nearest], nearest

    @torch.no_grad()
    def follow(self, x: Tensor, nearest: Tensor) -> None:
        """Move the averages towards what was assigned."""
        chosen = functional.one_hot(nearest.flatten(), CODES).to(x.dtype)
        self.sizes.lerp_(chosen.sum(dim=0), 1 - DECAY)
        self.sums.lerp_(chosen.T @ x.flatten(0, 1), 1 - DECAY)
        self.codes.copy_(self.sums / self.sizes.clamp(min=1e-5)[:, None])


class Net(nn.Module):
    """Encoder, two quantizers in turn, decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(8, DIM)
        self.codebook = Codebook()
        self.decode = nn.Linear(DIM, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 8)."""
        rest = self.encode(x)
        total, assigned = torch.zeros_like(rest), []
        for _ in range(2):
            code, nearest = self.codebook(rest)
            assigned.append((rest.detach(), nearest))
            total = total + rest + (code - rest).detach()
            rest = rest - code
        if self.training:
            for given, nearest in assigned:
                self.codebook.follow(given, nearest)
        decoded: Tensor = self.decode(total)
        return decoded


def build() -> nn.Module:
    """The network."""
    return Net()
