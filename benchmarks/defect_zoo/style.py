"""A generator by style: a mapping with a moving average, modulated convolutions, a fixed filter, fixed noise."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,6"]
STYLE, WIDTH = 8, 6


class Scaled(nn.Module):
    """A linear layer whose weights are scaled when they are used."""

    def __init__(self, before: int, after: int, start: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), start / rate))
        self.gain = rate / math.sqrt(before)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, before) -> (B, after)."""
        return functional.linear(x, self.weight * self.gain, self.bias * self.rate)


class Mapping(nn.Module):
    """A style for each vector; in eval mode it is drawn towards the mean of those seen."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = Scaled(6, STYLE, rate=0.01)
        self.fc2 = Scaled(STYLE, STYLE, rate=0.01)
        self.register_buffer("mean", torch.zeros(STYLE))

    def forward(self, z: Tensor) -> Tensor:
        """(B, 6) -> (B, S)."""
        z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        w = functional.leaky_relu(self.fc2(functional.leaky_relu(self.fc1(z), 0.2)), 0.2)
        if self.training:
            self.mean.copy_(torch.lerp(w.detach().mean(dim=0), self.mean, 0.995))
            return w
        return torch.lerp(self.mean, w, 0.7)


class Modulated(nn.Module):
    """A convolution whose weights are scaled by each example's style, and brought back to length one."""

    def __init__(self, before: int, after: int, size: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.style = Scaled(STYLE, before, start=1.0)
        self.gain = 1 / math.sqrt(before * size**2)
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H, W)."""
        weight = self.weight * self.gain * self.style(w)[:, None, :, None, None]  # (B, after, before, K, K)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
        grouped = x.flatten(0, 1).unsqueeze(0)  # (1, B * before, H, W)
        grouped = functional.conv2d(grouped, weight.flatten(0, 1), padding=self.weight.shape[-1] // 2, groups=len(x))
        return grouped.view(len(x), -1, *x.shape[2:])


class Layer(nn.Module):
    """A modulated convolution, noise, bias, activation."""

    noise: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.conv = Modulated(WIDTH, WIDTH, 3)
        self.register_buffer("noise", torch.randn(size, size))
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """The same shape."""
        x = self.conv(x, w) + self.noise * self.strength
        return functional.leaky_relu(x + self.bias[:, None, None], 0.2) * math.sqrt(2)


class Generator(nn.Module):
    """From a learnt constant of 4 x 4 to an image of 8 x 8; images of both sizes are added."""

    blur: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mapping = Mapping()
        self.constant = nn.Parameter(torch.randn(WIDTH, 4, 4))
        self.layer1 = Layer(4)
        self.layer2 = Layer(8)
        self.rgb1 = Modulated(WIDTH, 3, 1, demodulate=False)
        self.rgb2 = Modulated(WIDTH, 3, 1, demodulate=False)
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("blur", torch.outer(taps, taps) / taps.sum() ** 2)

    def enlarge(self, x: Tensor) -> Tensor:
        """Zeros between the pixels, then the fixed filter."""
        channels = x.shape[1]
        kernel = (4 * self.blur).expand(channels, 1, 4, 4)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)

    def forward(self, z: Tensor) -> Tensor:
        """(B, 6) -> (B, 3, 8, 8)."""
        w = self.mapping(z)
        x = self.layer1(self.constant.expand(len(z), -1, -1, -1), w)
        image = self.rgb1(x, w)
        x = self.layer2(self.enlarge(x), w)
        out: Tensor = self.enlarge(image) + self.rgb2(x, w)
        return out


def build() -> nn.Module:
    """The network."""
    return Generator()
