"""An AlexNet in miniature: strided and overlapping pools, dropout between wide linear layers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,33,33"]


class AlexNet(nn.Module):
    """Five convolutions, three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, kernel_size=5, stride=2, padding=2)
        self.norm = nn.LocalResponseNorm(5, alpha=1e-2, beta=0.75, k=2.0)
        self.conv2 = nn.Conv2d(8, 12, kernel_size=5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(12, 16, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(16, 16, kernel_size=3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(16, 12, kernel_size=3, padding=1, groups=2)
        self.fc6 = nn.Linear(12 * 9, 40)
        self.fc7 = nn.Linear(40, 40)
        self.fc8 = nn.Linear(40, 10)

    def features(self, x: Tensor) -> Tensor:
        """What the convolutions see."""
        x = functional.relu(self.conv1(x))  # (B, 8, 17, 17)
        x = functional.max_pool2d(self.norm(x), kernel_size=3, stride=2)  # (B, 8, 8, 8)
        x = functional.relu(self.conv2(x))
        x = functional.relu(self.conv3(x))
        x = functional.relu(self.conv4(x))
        x = functional.relu(self.conv5(x))
        return functional.max_pool2d(x, kernel_size=3, stride=2)  # (B, 12, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = torch.flatten(self.features(x), 1)
        x = functional.dropout(x, 0.5, training=self.training)
        x = functional.relu(self.fc6(x))
        x = functional.dropout(x, 0.3, training=self.training)
        x = functional.relu(self.fc7(x))
        logits: Tensor = self.fc8(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return AlexNet()
