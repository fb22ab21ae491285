"""An autoencoder with residual vector quantisation, as in SoundStream."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]


class Residual(nn.Module):
    """Two convolutions beside a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(6, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        branch = self.conv2(functional.relu(self.conv1(functional.relu(x))))
        out: Tensor = branch + x
        return out


class Quantizer(nn.Module):
    """The nearest code, passed straight through on the way back."""

    def __init__(self, num_codes: int, dim: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(num_codes, dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, D) to codes and the loss of both sides."""
        nearest = (x[:, :, None] - self.codes).square().sum(dim=-1).argmin(dim=-1)  # (B, N)
        code = self.codes[nearest]
        loss = (code.detach() - x).square().mean((1, 2)) + (code - x.detach()).square().mean((1, 2))
        code = x + (code - x).detach()
        return code, loss


class Net(nn.Module):
    """Encoder, two quantizers in turn, decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv2d(3, 8, 4, stride=2, padding=1)
        self.stack = nn.ModuleList([Residual(8) for _ in range(2)])
        self.quantizers = nn.ModuleList([Quantizer(6, 8) for _ in range(2)])
        self.decode = nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image again, and the losses of the quantizers."""
        x = self.encode(x)
        for layer in self.stack:
            x = layer(x)
        residual = x.flatten(2).transpose(1, 2)  # (B, N, D)
        total, losses = torch.zeros_like(residual), []
        for quantizer in self.quantizers:
            quantized, loss = quantizer(residual)
            residual = residual - quantized.detach()
            total = total + quantized
            losses.append(loss)
        image: Tensor = self.decode(total.transpose(1, 2).reshape(-1, 8, 4, 4))
        return image, torch.stack(losses, dim=1)


def build() -> nn.Module:
    """The network."""
    return Net()
