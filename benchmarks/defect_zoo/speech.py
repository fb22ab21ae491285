"""A speech encoder: convolutions on the wave, spans masked and layers dropped in training by numpy and random."""

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

INPUT = ["B,64", "B,7:bool"]
DIM, HEADS, STEPS, SPAN = 16, 2, 7, 2


class Features(nn.Module):
    """The wave at a slower rate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 8, kernel_size=8, stride=4, bias=False)
        self.norm = nn.GroupNorm(8, 8)
        self.conv2 = nn.Conv1d(8, 10, kernel_size=3, stride=2, bias=False)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, 64) -> (B, 7, 10)."""
        x = wave[:, None]
        if self.training:
            x.requires_grad = True  # so that checkpoints and frozen layers above get a gradient
        x = functional.gelu(self.norm(self.conv1(x)))
        return functional.gelu(self.conv2(x)).transpose(1, 2)


class Positions(nn.Module):
    """Neighbours of every step, by a grouped convolution under weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(DIM, DIM, kernel_size=4, padding=2, groups=4), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = self.conv(x.transpose(1, 2))[..., :-1]  # an even kernel gives one step too many
        return functional.gelu(y).transpose(1, 2)


class Layer(nn.Module):
    """Attention and MLP, each followed by skip and norm."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)
        self.key = nn.Linear(DIM, DIM)
        self.value = nn.Linear(DIM, DIM)
        self.out = nn.Linear(DIM, DIM)
        self.norm1 = nn.LayerNorm(DIM)
        self.fc1 = nn.Linear(DIM, 24)
        self.fc2 = nn.Linear(24, DIM)
        self.norm2 = nn.LayerNorm(DIM)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """The same shape; `bias` is added to the scores."""
        q, k, v = (
            one.view(x.shape[0], STEPS, HEADS, -1).transpose(1, 2)
            for one in (self.query(x), self.key(x), self.value(x))
        )
        scores = q @ k.transpose(-2, -1) * (DIM // HEADS) ** -0.5 + bias
        mixed = scores.softmax(dim=-1) @ v
        x = self.norm1(x + self.drop(self.out(mixed.transpose(1, 2).flatten(2))))
        out: Tensor = self.norm2(x + self.drop(self.fc2(functional.gelu(self.fc1(x)))))
        return out


class Encoder(nn.Module):
    """The last states, and all before them."""

    def __init__(self, drop_layer: float = 0.3) -> None:
        super().__init__()
        self.drop_layer = drop_layer
        self.features = Features()
        self.norm = nn.LayerNorm(10)
        self.project = nn.Linear(10, DIM)
        self.masked = nn.Parameter(torch.empty(DIM).uniform_())
        self.positions = Positions()
        self.start = nn.LayerNorm(DIM)
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, wave: Tensor, is_speech: Tensor) -> tuple[Tensor, list[Tensor]]:
        """States of a wave, of which is_speech says what isn't padding."""
        x = self.project(self.norm(self.features(wave)))
        if self.training:
            x = torch.where(self.draw_spans(len(x)).to(x.device)[..., None], self.masked, x)
        x = x * is_speech[..., None]
        bias = (1.0 - is_speech[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        x = self.start(x + self.positions(x))
        states = [x]
        for layer in self.layers:
            if self.training and random.random() < self.drop_layer:
                continue
            x = layer(x, bias)
            states.append(x)
        return x, states

    def draw_spans(self, num_examples: int) -> Tensor:
        """Which steps are masked: a span of every example."""
        starts = np.random.randint(0, STEPS - SPAN + 1, size=(num_examples, 1))
        steps = np.arange(STEPS)
        return torch.from_numpy((steps >= starts) & (steps < starts + SPAN))


def build() -> nn.Module:
    """The network."""
    return Encoder()
