"""A ConvNeXt in miniature: depthwise 7x7, channels-last norm, GELU, layer scale, stochastic depth."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


def drop_path(x: Tensor, p: float, training: bool) -> Tensor:
    """Leave an example's branch out with probability p."""
    if not training:
        return x
    keep = torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) >= p
    return x * keep / (1 - p)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution and an MLP over the channels."""

    def __init__(self, dim: int, drop: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, 4 * dim)
        self.project = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (B, H, W, C)
        y = functional.gelu(self.expand(self.norm(y)))
        y = (self.gamma * self.project(y)).permute(0, 3, 1, 2)
        return x + drop_path(y, self.drop, self.training)


class ConvNeXt(nn.Module):
    """Stem, two stages, head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, kernel_size=2, stride=2)
        self.stem_norm = LayerNorm2d(8, eps=1e-6)
        self.block1 = ConvNeXtBlock(8, 0.1)
        self.down_norm = LayerNorm2d(8, eps=1e-6)
        self.down = nn.Conv2d(8, 12, kernel_size=2, stride=2)
        self.block2 = ConvNeXtBlock(12, 0.2)
        self.norm = nn.LayerNorm(12, eps=1e-6)
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.block1(self.stem_norm(self.stem(x)))
        x = self.block2(self.down(self.down_norm(x)))
        logits: Tensor = self.head(self.norm(x.mean(dim=(2, 3))))
        return logits


def build() -> nn.Module:
    """The network."""
    return ConvNeXt()
