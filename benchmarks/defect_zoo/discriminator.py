"""A discriminator of patches with spectral norm; it also returns its features, for feature matching."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

INPUT = ["B,3,16,16", "B:int64<5"]


class Block(nn.Module):
    """Halve the resolution."""

    def __init__(self, before: int, after: int, stride: int = 2, norm: bool = True) -> None:
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(before, after, kernel_size=4, stride=stride, padding=1, bias=not norm))
        self.norm = nn.InstanceNorm2d(after, affine=True) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / stride, W / stride)."""
        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)


class Discriminator(nn.Module):
    """A score for each patch, moved by how well it fits the class."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(3, 6, norm=False), Block(6, 8), Block(8, 8, stride=1)])
        self.head = nn.Conv2d(8, 1, kernel_size=1)
        self.label = spectral_norm(nn.Embedding(5, 8))

    def forward(self, image: Tensor, label: Tensor) -> list[Tensor]:
        """Features of each block, and a map of scores (B, 1, 3, 3)."""
        x, outputs = image, []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        score = self.head(x)
        fit = torch.sum(self.label(label) * x.mean(dim=(2, 3)), dim=1)
        outputs.append(score + fit[:, None, None, None])
        return outputs


def build() -> nn.Module:
    """The network."""
    return Discriminator()
