"""Weights made for every example: kernels mixed by what the image shows, run with the batch folded into groups."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8", "B,5"]
KERNELS = 4


class DynamicConvolution(nn.Module):
    """A convolution whose kernel is a mixture, another one for each example."""

    def __init__(self, in_channels: int, out_channels: int, temperature: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.squeeze = nn.Linear(in_channels, 5, bias=False)
        self.excite = nn.Linear(5, KERNELS)
        self.weight = nn.Parameter(torch.randn(KERNELS, out_channels, in_channels, 3, 3) * 0.2)
        self.bias = nn.Parameter(torch.zeros(KERNELS, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        scores = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))
        mixture = (scores / self.temperature).softmax(dim=1)  # (B, KERNELS)
        weight = torch.einsum("bk,koihw->boihw", mixture, self.weight)
        bias = mixture @ self.bias
        folded = x.reshape(1, -1, *x.shape[2:])
        out = functional.conv2d(folded, weight.flatten(0, 1), bias.flatten(), padding=1, groups=len(x))
        return out.view(len(x), -1, *x.shape[2:])


class Modulated(nn.Module):
    """Two dynamic convolutions; a code makes a scale and a shift for each, and the last layer's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = DynamicConvolution(3, 6)
        self.conv2 = DynamicConvolution(6, 7)
        self.code = nn.Linear(5, 9)
        self.film1 = nn.Linear(9, 12)
        self.film2 = nn.Linear(9, 14)
        self.weights = nn.Linear(9, 7 * 4)

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        """Four numbers for each example."""
        code = torch.tanh(self.code(codes))
        x = functional.silu(self.modulate(self.conv1(images), self.film1(code)))
        x = functional.silu(self.modulate(self.conv2(x), self.film2(code)))
        weight = self.weights(code).view(-1, 4, 7)
        return torch.bmm(weight, x.mean(dim=(2, 3))[:, :, None]).squeeze(2)

    def modulate(self, x: Tensor, made: Tensor) -> Tensor:
        """Normalised features, scaled and shifted."""
        scale, shift = made[:, :, None, None].chunk(2, dim=1)
        return functional.group_norm(x, 1) * (1 + scale) + shift


def build() -> nn.Module:
    """The network."""
    return Modulated()
