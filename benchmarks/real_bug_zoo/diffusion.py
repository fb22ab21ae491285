"""A block and an attention of a diffusion model's U-Net, told the time."""

from torch import Tensor, einsum, nn
from torch.nn import functional

INPUT = ["B,3,6,6", "B,8"]
CHANNELS, GROUPS, HEADS = 32, 8, 2


class Block(nn.Module):
    """Convolutions one after the other, the time added behind the first, beside a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2)])
        self.time = nn.Linear(8, CHANNELS)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """The same shape."""
        out = x
        for index, conv in enumerate(self.convs):
            out = conv(out)
            if index == 0:
                out = functional.silu(out + self.time(time)[:, :, None, None])
        return out + x


class Attention(nn.Module):
    """Every pixel attends to all."""

    def __init__(self, num_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, CHANNELS)
        self.projection = nn.Linear(CHANNELS, 3 * CHANNELS)
        self.output = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, N, C)
        q, k, v = self.projection(pixels).view(batch, -1, HEADS, 3 * channels // HEADS).chunk(3, dim=-1)
        scores = einsum("bihd,bjhd->bijh", q, k) * (channels // HEADS) ** -0.5
        weights = scores.softmax(dim=2)
        mixed = einsum("bijh,bjhd->bihd", weights, v).reshape(batch, -1, channels)
        out: Tensor = self.output(mixed).transpose(1, 2).view(batch, channels, height, width)
        return out + x


class Net(nn.Module):
    """An image and its time to the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.block = Block()
        self.attention = Attention(GROUPS)
        self.last = nn.Conv2d(CHANNELS, 3, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, 3, H, W)."""
        noise: Tensor = self.last(self.attention(self.block(self.first(x), time)))
        return noise


def build() -> nn.Module:
    """The network."""
    return Net()
