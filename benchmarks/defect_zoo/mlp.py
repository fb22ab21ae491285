"""A multilayer perceptron with a different activation behind every layer."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,4,6"]


class Mlp(nn.Module):
    """Four linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(24, 32)
        self.act1 = nn.LeakyReLU(0.01)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 16, bias=False)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(16, 6)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities of six classes."""
        x = self.act1(self.fc1(self.flatten(x)))
        x = functional.gelu(self.fc2(x))
        x = functional.elu(self.fc3(x))
        x = self.head(self.drop(x))
        return functional.log_softmax(x, dim=1)


def build() -> nn.Module:
    """The network."""
    return Mlp()
