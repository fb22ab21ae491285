"""A lean classifier: weight norm and pruning by hooks, quantised activations, one layer of binary weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune, weight_norm

INPUT = ["B,3,8,8"]
LEVELS = 7


class RoundThrough(torch.autograd.Function):
    """Rounds; the gradient goes through as if nothing had been done, where nothing is cut off."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Round to integers from -LEVELS - 1 to LEVELS."""
        ctx.save_for_backward((x >= -LEVELS - 1) & (x <= LEVELS))
        return x.round().clamp(-LEVELS - 1, LEVELS)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Keep what belongs to the range."""
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside


class FakeQuantize(nn.Module):
    """Values as they would be in four bits; the largest is a moving average."""

    running_largest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_largest", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if self.training:
            with torch.no_grad():
                self.running_largest.mul_(0.9).add_(x.abs().max(), alpha=0.1)
        scale = self.running_largest.clamp(min=1e-8) / LEVELS
        rounded: Tensor = RoundThrough.apply(x / scale)
        return rounded * scale


class BinaryLinear(nn.Module):
    """A linear layer whose weights are a sign, and a length for each row."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / before**0.5)
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before) -> (B, after)."""
        length = self.weight.abs().mean(dim=1, keepdim=True)
        binary = torch.sign(self.weight) * length.detach()
        binary = self.weight + (binary - self.weight).detach()
        return functional.linear(x, binary, self.bias)


class Lean(nn.Module):
    """Two convolutions, two linear layers, lean in four ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = weight_norm(nn.Conv2d(3, 6, kernel_size=3, padding=1))
        self.quantize1 = FakeQuantize()
        self.conv2 = nn.Conv2d(6, 8, kernel_size=3, stride=2)
        mask = torch.arange(8 * 6 * 9).view(8, 6, 3, 3) % 3 != 0
        prune.custom_from_mask(self.conv2, "weight", mask)  # type: ignore[no-untyped-call]
        self.quantize2 = FakeQuantize()
        self.hidden = BinaryLinear(8 * 9, 12)
        self.prelu = nn.PReLU()
        self.head = nn.Linear(12, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        x = self.quantize1(functional.relu(self.conv1(image)))
        x = self.quantize2(functional.hardswish(self.conv2(x)))
        logits: Tensor = self.head(self.prelu(self.hidden(x.flatten(1))))
        return logits


def build() -> nn.Module:
    """The network."""
    return Lean()
