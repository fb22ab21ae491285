"""A policy and a value over what convolutions see of a game, as in PPO."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,4,12,12"]


class Net(nn.Module):
    """Convolutions, a hidden layer, scores of the actions and the value of the state."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 6, 4, stride=2)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.hidden = nn.Linear(8 * 9, 16)
        self.policy = nn.Linear(16, 3)
        self.value = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and value."""
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        x = functional.relu(self.hidden(x.flatten(1)))
        scores = self.policy(x)
        value = self.value(x)
        return scores, value[:, 0]


def build() -> nn.Module:
    """The network."""
    return Net()
