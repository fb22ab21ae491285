"""A generator: a vector becomes an image by transposed convolutions with group norm."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

INPUT = ["B,10"]


class Generator(nn.Module):
    """Project, upsample twice, smooth, squash."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(10, 12 * 4 * 4, bias=False)
        self.norm0 = nn.GroupNorm(3, 12)
        self.up1 = nn.ConvTranspose2d(12, 8, kernel_size=4, stride=2, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(4, 8)
        self.up2 = nn.ConvTranspose2d(8, 6, kernel_size=3, stride=2, padding=1, output_padding=1)
        self.norm2 = nn.InstanceNorm2d(6, affine=True)
        self.smooth = weight_norm(nn.Conv2d(6, 8, kernel_size=3, padding=1))
        self.to_rgb = nn.Conv2d(2, 3, kernel_size=5, padding=2)

    def forward(self, z: Tensor) -> Tensor:
        """An image with values from -1 to 1."""
        x = functional.relu(self.norm0(self.project(z).view(-1, 12, 4, 4)))
        x = functional.relu(self.norm1(self.up1(x)))  # (B, 8, 8, 8)
        x = functional.relu(self.norm2(self.up2(x)))  # (B, 6, 16, 16)
        x = functional.pixel_shuffle(self.smooth(x), 2)  # (B, 2, 32, 32)
        return torch.tanh(self.to_rgb(functional.leaky_relu(x, 0.2)))


def build() -> nn.Module:
    """The network."""
    return Generator()
