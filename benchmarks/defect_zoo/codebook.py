"""A vector-quantised autoencoder whose codebook is a moving average of what is assigned to it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,2,8,8"]
CODES, DIM = 8, 6


class Quantiser(nn.Module):
    """The nearest of a few vectors for every place; in training they move to the mean of what they stand for."""

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, decay: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("codebook", torch.randn(CODES, DIM))
        self.register_buffer("counts", torch.zeros(CODES))
        self.register_buffer("sums", self.codebook.clone())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantised vectors (B, N, DIM), codes (B, N) and each example's commitment (B,)."""
        flat = x.reshape(-1, DIM)
        lengths = flat.square().sum(dim=1, keepdim=True) + self.codebook.square().sum(dim=1)
        distance = lengths - 2 * flat @ self.codebook.T
        codes = distance.argmin(dim=1)
        chosen = self.codebook[codes].view_as(x)
        if self.training:
            self.update(flat, codes)
        commitment = 0.25 * (chosen.detach() - x).square().mean(dim=(1, 2))
        return x + (chosen - x).detach(), codes.view(len(x), -1), commitment

    @torch.no_grad()
    def update(self, flat: Tensor, codes: Tensor) -> None:
        """Move counts, sums and codebook."""
        assigned = functional.one_hot(codes, CODES).to(flat.dtype)
        self.counts.mul_(self.decay).add_(assigned.sum(dim=0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(assigned.T @ flat, alpha=1 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + CODES * self.epsilon) * total
        self.codebook.copy_(self.sums / smoothed[:, None])


class Autoencoder(nn.Module):
    """Images to codes and back."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 10, kernel_size=4, stride=2, padding=1)
        self.before = nn.Conv2d(10, DIM, kernel_size=1)
        self.quantiser = Quantiser()
        self.after = nn.Conv2d(DIM, 10, kernel_size=3, padding=1)
        self.up = nn.ConvTranspose2d(10, 2, kernel_size=4, stride=2, padding=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images again, codes, and each example's commitment."""
        x = self.before(functional.relu(self.down(images)))  # (B, DIM, 4, 4)
        chosen, codes, commitment = self.quantiser(x.flatten(2).transpose(1, 2))
        x = chosen.transpose(1, 2).unflatten(2, (4, 4))
        x = self.up(functional.relu(self.after(x)))
        return {"images": x, "codes": codes, "commitment": commitment}


def build() -> nn.Module:
    """The network."""
    return Autoencoder()
