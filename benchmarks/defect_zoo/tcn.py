"""A temporal convolutional network: causal dilated convolutions with gated activations, a forecast of the next step."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,4,16"]


class GatedConv(nn.Module):
    """A causal convolution, gated, beside a skip."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size=3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The next layer's input, and this layer's part of the result."""
        y = functional.pad(x, (2 * self.dilation, 0))
        value, gate = self.conv(y).chunk(2, dim=1)
        y = self.mix(torch.tanh(value) * torch.sigmoid(gate))
        return (x + y) * 0.5**0.5, y


class Tcn(nn.Module):
    """Three layers, whose parts are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv1d(4, 8, kernel_size=1)
        self.layers = nn.ModuleList(GatedConv(8, 2**i) for i in range(3))
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Conv1d(8, 4, kernel_size=1)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """The next value at each step, as a change of the last."""
        y = self.lift(x)
        parts = []
        for layer in self.layers:
            y, part = layer(y)
            parts.append(part)
        total = functional.relu(self.norm(torch.stack(parts).sum(dim=0)))
        forecast: Tensor = x + self.scale * self.head(total)
        return forecast


def build() -> nn.Module:
    """The network."""
    return Tcn()
