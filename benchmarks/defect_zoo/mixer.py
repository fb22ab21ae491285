"""An MLP-mixer: one MLP across the tokens, one across the channels."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


class Mlp(nn.Module):
    """Two linear layers with GELU and dropout."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        x = functional.dropout(functional.gelu(self.fc1(x)), 0.1, self.training)
        out: Tensor = self.fc2(x)
        return out


class MixerBlock(nn.Module):
    """Tokens first, then channels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(16)
        self.tokens = Mlp(16, 24)
        self.norm2 = nn.LayerNorm(16)
        self.channels = Mlp(16, 24)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C), with as many tokens as channels."""
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.channels(self.norm2(x))
        return out


class Mixer(nn.Module):
    """Patches, two blocks, head."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, kernel_size=4, stride=4)
        self.block1 = MixerBlock()
        self.block2 = MixerBlock()
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.patch(x).flatten(2).transpose(1, 2)  # (B, 16, 16)
        x = self.norm(self.block2(self.block1(x)))
        logits: Tensor = self.head(x.mean(dim=1))
        return logits


def build() -> nn.Module:
    """The network."""
    return Mixer()
