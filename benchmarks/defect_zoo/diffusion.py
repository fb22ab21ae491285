"""A small U-Net that predicts noise: time by sines and FiLM, attention below, an output that starts at nought."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,2,8,8", "B:int64<1000", "B:int64<4"]  # noisy images, time steps, classes
WIDTH, TIME, HEADS = 8, 12, 2


def time_embedding(step: Tensor, dim: int = TIME, longest: float = 10_000.0) -> Tensor:
    """Sines, then cosines, of the step at falling rates: (B,) -> (B, dim)."""
    half = dim // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, dtype=torch.float32) / half).to(step.device)
    angles = step[:, None].float() * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def zero(module: nn.Module) -> nn.Module:
    """Let a layer start from nought."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class ResBlock(nn.Module):
    """Two convolutions; the second's norm is scaled and shifted by time."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(2, before)
        self.conv1 = nn.Conv2d(before, after, kernel_size=3, padding=1)
        self.film = nn.Linear(TIME, 2 * after)
        self.norm2 = nn.GroupNorm(2, after)
        self.dropout = nn.Dropout(0.1)
        self.conv2 = zero(nn.Conv2d(after, after, kernel_size=3, padding=1))
        self.skip = nn.Conv2d(before, after, kernel_size=1) if before != after else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H, W)."""
        h = self.conv1(functional.silu(self.norm1(x)))
        scale, shift = self.film(functional.silu(time))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        h = self.conv2(self.dropout(functional.silu(h)))
        out: Tensor = self.skip(x) + h
        return out


class Attention(nn.Module):
    """Self-attention over all pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, dim)
        self.qkv = nn.Conv1d(dim, 3 * dim, kernel_size=1)
        self.out = zero(nn.Conv1d(dim, dim, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        flat = x.flatten(2)  # (B, C, H * W)
        q, k, v = self.qkv(self.norm(flat)).unflatten(1, (3, HEADS, -1)).unbind(1)  # (B, H, D, N)
        scale = 1 / math.sqrt(math.sqrt(q.shape[2]))
        weights = torch.einsum("bhdi,bhdj->bhij", q * scale, k * scale).softmax(dim=-1)
        mixed = torch.einsum("bhij,bhdj->bhdi", weights, v).flatten(1, 2)
        added: Tensor = self.out(mixed)
        return (flat + added).view_as(x)


class UNet(nn.Module):
    """Down once, attend, up once."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(TIME, TIME), nn.SiLU(), nn.Linear(TIME, TIME))
        self.label = nn.Embedding(4, TIME)
        self.stem = nn.Conv2d(2, WIDTH, kernel_size=3, padding=1)
        self.down = ResBlock(WIDTH, WIDTH)
        self.reduce = nn.Conv2d(WIDTH, 12, kernel_size=3, stride=2, padding=1)
        self.middle = ResBlock(12, 12)
        self.attention = Attention(12)
        self.enlarge = nn.Conv2d(12, WIDTH, kernel_size=3, padding=1)
        self.up = ResBlock(2 * WIDTH, WIDTH)
        self.norm = nn.GroupNorm(2, WIDTH)
        self.out = zero(nn.Conv2d(WIDTH, 2, kernel_size=3, padding=1))

    def forward(self, image: Tensor, step: Tensor, label: Tensor) -> Tensor:
        """The noise in an image, of the same shape."""
        time = self.time(time_embedding(step).to(image.dtype)) + self.label(label)
        kept = self.down(self.stem(image), time)
        x = self.attention(self.middle(self.reduce(kept), time))
        x = self.enlarge(functional.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.up(torch.cat([x, kept], dim=1), time)
        noise: Tensor = self.out(functional.silu(self.norm(x)))
        return noise


def build() -> nn.Module:
    """The network."""
    return UNet()
