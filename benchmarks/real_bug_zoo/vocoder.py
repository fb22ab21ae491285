"""A convolution over audio, conditioned on a level of noise, as in WaveGrad; the padding is done by hand."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,1,32", "B,1"]
WIDTH = 8


class Conv(nn.Module):
    """A convolution that keeps the length."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding_mode: str = "constant") -> None:
        super().__init__()
        self.padding, self.padding_mode = kernel_size // 2, padding_mode
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, D, T)."""
        x = functional.pad(x, (self.padding, self.padding), mode=self.padding_mode)
        out: Tensor = self.conv(x)
        return out


def encode(level: Tensor) -> Tensor:
    """(B, 1) -> (B, W), sines and cosines of rates from 1 to 1e-4."""
    exponents = torch.arange(WIDTH // 2, dtype=level.dtype) / (WIDTH // 2)
    rates = 1e-4**exponents
    return torch.cat([torch.sin(5000 * level * rates), torch.cos(5000 * level * rates)], dim=1)


class Net(nn.Module):
    """Two convolutions; the level scales and shifts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(1, WIDTH, 5)
        self.film = nn.Linear(WIDTH, 2 * WIDTH)
        self.conv2 = Conv(WIDTH, 1, 5)

    def forward(self, audio: Tensor, level: Tensor) -> Tensor:
        """The noise in it."""
        scale, shift = self.film(encode(level) / math.sqrt(WIDTH)).chunk(2, dim=1)
        x = functional.silu(self.conv1(audio))
        noise: Tensor = self.conv2(x * scale[:, :, None] + shift[:, :, None])
        return noise


def build() -> nn.Module:
    """The network."""
    return Net()
