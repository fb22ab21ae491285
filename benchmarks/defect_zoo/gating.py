"""A convolutional classifier with gates: response norm, squeeze and excitation, CBAM, layer scale, stochastic depth."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]
DIM = 8


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        mean = x.mean(dim=1, keepdim=True)
        variance = (x - mean).pow(2).mean(dim=1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ResponseNorm(nn.Module):
    """Divide each channel's length by the mean of all, and scale what comes in by that."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, dim, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        length = torch.norm(x, p=2, dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        share: Tensor = length / (length.mean(dim=1, keepdim=True) + 1e-6)
        return self.gamma * (x * share) + self.beta + x


class Excitation(nn.Module):
    """A gate for each channel, by all pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(dim, 4, kernel_size=1)
        self.expand = nn.Conv2d(4, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        gate = functional.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))
        return x * functional.hardsigmoid(self.expand(gate))


class SpatialGate(nn.Module):
    """A gate for each pixel, by the mean and the maximum of its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size=5, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.norm(self.conv(pooled)))


class Block(nn.Module):
    """Depthwise, norm, out, GELU, response norm, back; gated, scaled, dropped by chance."""

    def __init__(self, dim: int, drop: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel_size=5, padding=2, groups=dim)
        self.norm = ChannelNorm(dim)
        self.out = nn.Conv2d(dim, 2 * dim, kernel_size=1)
        self.response = ResponseNorm(2 * dim)
        self.back = nn.Conv2d(2 * dim, dim, kernel_size=1)
        self.excitation = Excitation(dim)
        self.scale = nn.Parameter(1e-2 * torch.ones(dim, 1, 1))
        self.drop = drop

    def stochastic(self, x: Tensor) -> Tensor:
        """Drop whole examples in training."""
        if not self.training or self.drop == 0.0:
            return x
        kept = torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device) >= self.drop
        return x * kept / (1.0 - self.drop)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = functional.gelu(self.out(self.norm(self.depthwise(x))))
        y = self.excitation(self.back(self.response(y)))
        return x + self.stochastic(self.scale * y)


class Gating(nn.Module):
    """Stem, two blocks, a spatial gate, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, DIM, kernel_size=4, stride=4)
        self.blocks = nn.Sequential(Block(DIM, 0.0), Block(DIM, 0.2))
        self.spatial = SpatialGate()
        self.norm = nn.LayerNorm(DIM, eps=1e-6)
        self.head = nn.Linear(DIM, 5)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        x = self.spatial(self.blocks(self.stem(image)))
        logits: Tensor = self.head(self.norm(x.mean(dim=(2, 3))))
        return logits


def build() -> nn.Module:
    """The network."""
    return Gating()
