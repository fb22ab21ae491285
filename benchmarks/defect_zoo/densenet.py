"""A DenseNet in miniature: every layer reads all before it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,12,12"]


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 2 * growth, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * growth)
        self.conv2 = nn.Conv2d(2 * growth, growth, kernel_size=3, padding=1, bias=False)
        self.drop = nn.Dropout2d(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """The new channels alone."""
        out = self.conv1(torch.relu(self.norm1(x)))
        out = self.conv2(torch.relu(self.norm2(out)))
        new: Tensor = self.drop(out)
        return new


class DenseBlock(nn.Module):
    """Layers that each add channels."""

    def __init__(self, in_channels: int, growth: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DenseLayer(in_channels + i * growth, growth) for i in range(num_layers))

    def forward(self, x: Tensor) -> Tensor:
        """All channels, the oldest first."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


class DenseNet(nn.Module):
    """Two blocks with a transition between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False)
        self.block1 = DenseBlock(8, 4, 3)
        self.norm = nn.BatchNorm2d(20)
        self.transition = nn.Conv2d(20, 10, kernel_size=1, bias=False)
        self.block2 = DenseBlock(10, 4, 2)
        self.last = nn.BatchNorm2d(18)
        self.classifier = nn.Linear(18, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.block1(self.stem(x))
        x = self.transition(torch.relu(self.norm(x)))
        x = self.block2(functional.avg_pool2d(x, 2))
        x = torch.relu(self.last(x)).mean(dim=(2, 3))
        logits: Tensor = self.classifier(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return DenseNet()
