"""A critic of images under weight norm, spectral norm and pruning by torch's hooks; its own hooks keep and change."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune, spectral_norm, weight_norm

INPUT = ["B,3,8,8"]


class Mixer(nn.Module):
    """Self-attention over places; keeps its map for whoever wants to look at it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = weight_norm(nn.Conv1d(width, 4, kernel_size=1))
        self.key = weight_norm(nn.Conv1d(width, 4, kernel_size=1))
        self.value = weight_norm(nn.Conv1d(width, width, kernel_size=1))
        self.gamma = nn.Parameter(torch.zeros(1))
        self.attention: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, (B, width, places)."""
        weights = (self.query(x).transpose(1, 2) @ self.key(x)).softmax(dim=-1)
        self.attention = weights
        out: Tensor = x + self.gamma * (self.value(x) @ weights.transpose(1, 2))
        return out


class Critic(nn.Module):
    """A score for each image, and the features that a hook kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(3, 8, kernel_size=3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(8, 12, kernel_size=3, stride=2, padding=1))
        self.mixer = Mixer(12)
        self.hidden = nn.Linear(12, 10)
        self.score = nn.Linear(10, 4)
        self.features: list[Tensor] = []
        mask = torch.ones(10, 12)
        mask[::2, ::3] = 0
        prune.custom_from_mask(self.hidden, "weight", mask)  # type: ignore[no-untyped-call]
        self.conv1.register_forward_hook(self._keep)
        self.conv2.register_forward_hook(self._activate)

    def _keep(self, _module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> None:
        self.features.append(output.mean(dim=(2, 3)))

    def _activate(self, _module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return functional.leaky_relu(output, 0.2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and the mean of the first features."""
        self.features.clear()
        x = functional.leaky_relu(self.conv1(x), 0.2)
        x = self.mixer(self.conv2(x).flatten(2))
        x = torch.tanh(self.hidden(x.mean(dim=2)))
        return self.score(x), self.features[0]


def build() -> nn.Module:
    """The network."""
    return Critic()
